"""Check that every link within the built documentation leads somewhere.

Usage: `python check_links.py FOLDER`, the folder that Sphinx wrote HTML into. A link to a page must
find the file, one to a part of a page the element of that id. Links to other sites are left alone.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page and the ids that links may lead to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.update(found[key] for key in ("id", "name") if found.get(key))
        self.links.update(found[key] for key in ("href", "src") if found.get(key))


def target(path, link):
    """Return the file and the id that a link of a page leads to, None for another site's."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    return (file / "index.html" if file.is_dir() else file), unquote(parts.fragment)


def main(folder):
    found = sorted(Path(folder).rglob("*.html"))
    pages = {path.resolve(): Page(path) for path in found if "_static" not in path.parts}
    if not pages:
        sys.exit(f"there is no page in {folder}")
    broken, n_links = [], 0
    for path, page in pages.items():
        for link in sorted(page.links):
            goal = target(path, link)
            if goal is None:
                continue
            n_links += 1
            file, part = goal
            known = pages[file].ids if file in pages else set()
            if not file.exists() or (part and file in pages and part not in known):
                broken.append(f"{path.relative_to(Path(folder).resolve())}: {link}")
    if broken:
        sys.exit("broken links:\n" + "\n".join(broken))
    print(f"{len(pages)} pages, {n_links} links within, none broken")


if __name__ == "__main__":
    main(*sys.argv[1:])
