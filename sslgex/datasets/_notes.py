"""Names of columns that are no measurement: identifiers, annotations of genes, labels of samples.

Names are compared in lower case and without marks: "OS.time" is "ostime".
"""

import re

# A first column of this name holds genes. Xena's "sample" does so too, so that says nothing.
GENE_HEADERS = {
    "ensemblgeneid", "ensemblid", "entrezgeneid", "gene", "geneid", "genename", "genes",
    "genesymbol", "hgncsymbol", "hugosymbol", "idref", "probe", "probeid", "probeset", "probesetid",
    "symbol",
}  # fmt: skip
# One of this name holds samples.
PERSON_HEADERS = {
    "case", "caseid", "donor", "donorid", "patient", "patientid", "patients", "subject",
    "subjectid", "subjects",
}  # fmt: skip
# Above a first column that may be a mere numbering of the rows; "x" is R's.
UNNAMED = {"", "index", "unnamed0", "x"}
# Columns of a file of one sample, as STAR at GDC, RSEM, salmon and kallisto write it.
QUANTITIES = {
    "efflength", "effectivelength", "estcounts", "expectedcount", "fpkm", "fpkmunstranded",
    "fpkmuqunstranded", "isopct", "numreads", "rpkm", "strandedfirst", "strandedsecond", "tpm",
    "tpmunstranded", "unstranded",
}  # fmt: skip
_OF_GENES = GENE_HEADERS | {
    "biotype", "chr", "chrom", "chromosome", "chromosomename", "chromosomescaffoldname", "cytoband",
    "description", "effectivelength", "efflength", "end", "entrez", "entrezid", "exonlength",
    "genebiotype", "genelength", "genetype", "hgncid", "length", "locusid", "ncbigeneid",
    "seqnames", "start", "strand", "transcriptid", "transcriptlength", "width",
    # Of tables of differential expression:
    "adjpval", "adjpvalue", "avelogfc", "aveexpr", "basemean", "fdr", "lfcse", "log2foldchange",
    "logcpm", "logfc", "padj", "pval", "pvalue", "qvalue", "stat",
}  # fmt: skip
_OF_SAMPLES = {
    "age", "batch", "class", "cluster", "diagnosis", "event", "gender", "grade", "group", "label",
    "labels", "os", "ostime", "patient", "patientid", "response", "sample", "sampleid",
    "sampletype", "sex", "stage", "status", "subtype", "survival", "target", "time", "tissue",
    "treatment", "y",
}  # fmt: skip
# A first column of numbers holds names only if it is called so.
NAME_HEADERS = _OF_GENES | _OF_SAMPLES | PERSON_HEADERS | UNNAMED | {
    "accession", "barcode", "geoaccession", "id", "name", "names", "run", "samplename", "samples",
}  # fmt: skip
# Words of labels such as "overall_survival_months"; of names beside those of genes only.
_WORDS = {
    "age", "bmi", "censored", "days", "death", "dfs", "diagnosis", "event", "grade", "id", "months",
    "nodes", "os", "outcome", "pfs", "recurrence", "relapse", "response", "rfs", "score", "size",
    "stage", "status", "survival", "therapy", "time", "tumor", "tumour", "weight", "years",
}  # fmt: skip


def plain(name: str) -> str:
    """Return a name in lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def is_note(name: str, rows: str | None) -> bool:
    """Tell whether a column is no measurement, by its name.

    What is in the rows matters: of genes it has annotations, but samples called "Control" or
    "Tissue"; of samples it has labels. None is for rows of which nobody knows.
    """
    if rows == "genes":
        return plain(name) in _OF_GENES
    if plain(name) in _OF_GENES | _OF_SAMPLES or re.search(r"[_. ](id|length)$", name, re.I):
        return True
    words = re.split(r"[^a-z0-9]+", name.lower())
    return rows == "samples" and not _WORDS.isdisjoint(words)


def may_be_note(name: str) -> bool:
    """Tell whether a column may be no measurement, whatever is in the rows."""
    return is_note(name, "genes") or is_note(name, "samples")
