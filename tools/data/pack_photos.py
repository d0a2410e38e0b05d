"""Pack the embedded photographs: small, freely licensed, each with its author, license and source.

    python tools/data/pack_photos.py demo/photos.npz

From the Debian packages gcompris-qt-data (photographs in Qt resource files) and lomiri-wallpapers-16.04, -20.04, those
for which debian/copyright states public domain, CC0, CC-BY or CC-BY-SA file by file. Fetches the packages with apt-get.

Output arrays: photos (WebP files, one after another), ends (where each ends), names, authors, licenses, sources;
and beside it PHOTOS.tsv with the same credits.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

PACKAGES = ('gcompris-qt-data=3.1-2', 'lomiri-wallpapers-16.04=20.04.0-2', 'lomiri-wallpapers-20.04=20.04.0-2')
FREE = re.compile(r'^(public-domain|CC0.*|CC-BY-[1-4].*|CC-BY-SA-[1-4].*)$')
CATEGORIES = 'src/activities/categorization/resource/images'
FOLDERS = (*(f'{CATEGORIES}/{k}' for k in ('fishes', 'monuments', 'renewable')),
           'src/activities/explore_world_animals/resource/animals')  # fmt: skip
LEFT_OUT = (  # drawings, cut-outs, and two that look like others: 100 stay
    'analogpattern_by_Peter_Nerlich', 'greentock_by_Peter_Nerlich', 'umang_by_Abhishek_Mudgal', 'Fossa_by_Jasper_Roks',
    'Infinite-Sea_by_Aury88', 'Painting-Colors_by__herobrine7gamer', 'fishes/fish17', 'renewable/solar5',
    'renewable/dam5', 'renewable/windmill12',
)  # fmt: skip
Credit = tuple[str, str, str]  # author, license, source


def get_packages(work: Path) -> None:
    """Download and unpack what is not there yet."""
    work.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        name = package.split('=')[0]
        if not (work / name).is_dir():
            subprocess.run(['apt-get', 'download', '-q', package], cwd=work, check=True)
            archive = next(work.glob(f'{name}_*.deb'))
            subprocess.run(['dpkg', '-x', str(archive), str(work / name)], check=True)


def credits_of(root: Path, package: str) -> dict[str, Credit]:
    """File (without its ending) -> credit, from the package's debian/copyright."""
    text = (root / 'usr/share/doc' / package / 'copyright').read_text(encoding='utf-8')
    found: dict[str, Credit] = {}
    for stanza in re.split(r'\n\s*\n', text):
        match = re.match(r'Files:(.*?)\nCopyright:(.*?)\nLicense:[ ]*(\S[^\n]*)', stanza, re.S)
        if match is None:
            continue
        comment = re.search(r'Comment:\s*(.*)', stanza, re.S)
        source = ' '.join(comment[1].split()) if comment else ''
        for file in match[1].split():
            found[file.rsplit('.', 1)[0]] = (' '.join(match[2].split()), match[3].strip(), source)
    return found


def qt_resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files in a Qt binary resource file; those of unknown compression are left out."""
    data = path.read_bytes()
    version, tree, start, names = struct.unpack('>IIII', data[4:20])
    node = 22 if version >= 2 else 14

    def name_at(offset: int) -> str:
        at = names + offset
        (length,) = struct.unpack('>H', data[at : at + 2])
        return data[at + 6 : at + 6 + 2 * length].decode('utf-16-be')

    def walk(index: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * node
        offset, flags = struct.unpack('>IH', data[at : at + 6])
        place = f'{prefix}/{name_at(offset)}' if index else ''
        if flags & 2:  # a folder
            count, first = struct.unpack('>II', data[at + 6 : at + 14])
            for child in range(count):
                yield from walk(first + child, place)
            return
        begin = start + struct.unpack('>I', data[at + 10 : at + 14])[0]
        (length,) = struct.unpack('>I', data[begin : begin + 4])
        body = data[begin + 4 : begin + 4 + length]
        if not flags & 4:
            yield place, zlib.decompress(body[4:]) if flags & 1 else body

    yield from walk(0, '')


def photographs(work: Path) -> list[tuple[str, bytes, Credit]]:
    """(name, file content, credit) of all photographs, in a fixed order."""
    package = 'gcompris-qt-data'
    known, found = credits_of(work / package, package), {}
    for file in sorted((work / package).rglob('*.rcc')):
        for place, content in qt_resources(file):
            key = place.removeprefix('/gcompris/').rsplit('.', 1)[0]
            folder = key.rsplit('/', 1)[0]
            if place.endswith('.webp') and folder in FOLDERS and key in known and FREE.match(known[key][1]):
                found[FOLDERS.index(folder), key] = (key, content, known[key])
    photos = [found[key] for key in sorted(found)]
    for package in ('lomiri-wallpapers-16.04', 'lomiri-wallpapers-20.04'):
        known = credits_of(work / package, package)
        for file in sorted((work / package / 'usr/share/backgrounds').glob('*.jpg')):
            key = f'{package[-5:]}/{file.stem}'
            if key in known and FREE.match(known[key][1]):
                photos.append((key, file.read_bytes(), known[key]))
    return photos


def small(content: bytes, side: int, quality: int) -> bytes:
    """A WebP whose shorter side has ``side`` pixels."""
    image = Image.open(io.BytesIO(content)).convert('RGB')
    scale = side / min(image.size)
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, 'WEBP', quality=quality, method=6)
    return buffer.getvalue()


def main() -> int:
    """Pack them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('output', type=Path, help='.npz')
    parser.add_argument('--work', type=Path, default=Path('photos_work'), help='for the packages')
    parser.add_argument('--side', type=int, default=128, help='pixels of the shorter side')
    parser.add_argument('--quality', type=int, default=90)
    args = parser.parse_args()
    get_packages(args.work)
    files, rows = [], []
    for name, content, credit in photographs(args.work):
        if name.endswith(LEFT_OUT):
            continue
        files.append(small(content, args.side, args.quality))
        rows.append((name, *credit))
        print(f'{len(files)} {name}', file=sys.stderr)
    names, authors, licenses, sources = (np.array(column) for column in zip(*rows, strict=True))
    np.savez_compressed(
        args.output, photos=np.frombuffer(b''.join(files), np.uint8), ends=np.cumsum([len(f) for f in files]),
        names=names, authors=authors, licenses=licenses, sources=sources,
    )  # fmt: skip
    table = '\n'.join('\t'.join(row) for row in [('name', 'author', 'license', 'source'), *rows])
    (args.output.parent / 'PHOTOS.tsv').write_text(table + '\n', encoding='utf-8')
    print(f'{len(files)} photographs, {args.output.stat().st_size / 1e6:.1f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
