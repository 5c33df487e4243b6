"""Small files and frames of real values, in the layouts in which people have them."""

import gzip

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose

from sslgex.datasets import load_tcga_brca, make_expression, read_expression

BRCA = load_tcga_brca(as_frame=True)
FRAME = BRCA.data.iloc[:8, :60].astype(np.float64)  # samples x genes
COUNTS = pd.DataFrame(
    make_expression(8, 60, random_state=0).counts, index=FRAME.index, columns=FRAME.columns
)
ENSEMBL = [f"ENSG{i:011d}.{i % 9 + 1}" for i in range(141500, 141560)]
GSM = [f"GSM{900000 + i}" for i in range(8)]


def read(source, **parameters):
    return read_expression(source, **{"verbose": 0, **parameters})


def said(adata, what):
    return adata.uns["sslgex"][what]


def assert_same(adata, frame):
    assert adata.obs_names.tolist() == [str(name) for name in frame.index]
    assert adata.var_names.tolist() == [str(name) for name in frame.columns]
    assert_allclose(adata.X, frame.to_numpy(), rtol=1e-6)


def write(path, text, compress=False):
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if compress else data)
    return path


def table(frame, sep="\t", corner="", **options):
    return frame.rename_axis(corner).to_csv(sep=sep, **options)


def geo(frame, end="!series_matrix_table_end\n"):
    quoted = "\t".join(f'"{name}"' for name in frame.index)
    values = "\n".join(
        f'"{gene}"\t' + "\t".join(f"{value:.6g}" for value in frame[gene]) for gene in frame
    )
    tissue = "\t".join('"tissue: breast"' for _ in frame.index)
    return (
        '!Series_title\t"Breast tumours"\n\n'
        f"!Sample_geo_accession\t{quoted}\n!Sample_characteristics_ch1\t{tissue}\n"
        f"!Sample_characteristics_ch1\t{tissue.replace('tissue: breast', 'age: 50')}\n"
        f'!series_matrix_table_begin\n"ID_REF"\t{quoted}\n{values}\n{end}'
    )


def gct(frame, genes=None):
    frame = frame.T.rename_axis("Name").reset_index()
    frame.insert(1, "Description", "a gene")
    return f"#1.2\n{genes or len(frame)}\t{frame.shape[1] - 2}\n" + frame.to_csv(
        sep="\t", index=False
    )
