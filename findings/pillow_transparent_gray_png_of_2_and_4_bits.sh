#!/usr/bin/env bash
# The transparent color of a gray PNG of 2 or 4 bits is not transparent in Pillow; of 1 and 8 bits it is.
#
# Expected: a PNG's tRNS chunk names one gray value; pixels of that value have alpha 0 after convert('RGBA'), at any depth.
# What happens: Pillow widens 2- and 4-bit samples to 8 bits (1 of 4 levels becomes 85, 1 of 16 becomes 17) but keeps the
#   transparent value as the file has it (1), and compares the two: nothing matches, every pixel is opaque. libpng (here
#   through imagecodecs) gives alpha 0. A pixel that happens to be the narrow number after widening would vanish instead.
# Why it matters: scans, plots and label images are often 2 or 4 bits with one transparent level. Loaders that lay
#   transparency over white show what the file hides, and the same picture saved with 8 bits looks different.
# Source: PNG specification (third edition) 11.3.2.1; Pillow 13.0.0, PngImagePlugin (chunk_tRNS) and Image.convert.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install imagecodecs==2026.3.6 pillow==13.0.0 numpy==2.2.6
"$work/venv/bin/python" - <<'PY'
import io, struct, zlib
import imagecodecs, numpy as np, PIL
from PIL import Image

def chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))

def png(depth, values, transparent):
    bits = ''.join(f'{v:0{depth}b}' for v in values)
    row = b'\0' + bytes(int(bits[i : i + 8].ljust(8, '0'), 2) for i in range(0, len(bits), 8))
    header = struct.pack('>IIBBBBB', len(values), 1, depth, 0, 0, 0, 0)
    parts = (chunk(b'IHDR', header), chunk(b'tRNS', struct.pack('>H', transparent)), chunk(b'IDAT', zlib.compress(row)))
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts) + chunk(b'IEND', b'')

print(f'Pillow {PIL.__version__}, imagecodecs {imagecodecs.__version__}')
values = [1, 0, 1, 0, 1, 1, 0, 0]
for depth in (1, 2, 4, 8):
    data = png(depth, values, 1)
    pillow = np.asarray(Image.open(io.BytesIO(data)).convert('RGBA'))[0, :, 3]
    libpng = imagecodecs.png_decode(data)[0, :, 1]
    print(f'{depth} bits: alpha by Pillow {pillow.tolist()}, by libpng {libpng.tolist()}')
    want = [0 if v == 1 else 255 for v in values]
    assert libpng.tolist() == want
    assert pillow.tolist() == (want if depth in (1, 8) else [255] * 8), depth
print('as described')
PY
