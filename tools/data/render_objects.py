"""Render the embedded demo set: views of CC0 objects with their true parameters.

Needs the Debian package sweethome3d-furniture (unpacked with dpkg -x) and PyPI's pybullet 3.2.7:

    apt-get download sweethome3d-furniture && dpkg -x sweethome3d-furniture_*.deb furniture
    python tools/data/render_objects.py furniture/usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f demo/objects64.npz

Output arrays: <split>_images [n, 64, 64, 3] uint8, <split>_labels [n] (the object), <split>_latents [n, 8]: rotation
quaternion (x, y, z, w; w >= 0), light azimuth and elevation (radians), light hue and background hue in [0, 1).
"""

from __future__ import annotations

import argparse
import colorsys
import multiprocessing
import re
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np


def catalogue(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(name, path of the OBJ file) of every model."""
    text = archive.read('PluginFurnitureCatalog.properties').decode('latin-1')
    fields = dict(re.findall(r'^((?:name|model)#\d+)=(.*)$', text, re.M))
    numbers = sorted(int(key.split('#')[1]) for key in fields if key.startswith('name#'))
    return [
        (fields[f'name#{n}'].strip(), fields[f'model#{n}'].strip().lstrip('/'))
        for n in numbers
        if f'model#{n}' in fields
    ]


def random_latents(rng: np.random.Generator) -> np.ndarray:
    """A uniformly random rotation within 60 degrees of upright yaw turns, light and colors."""
    yaw, pitch, roll = rng.uniform(-np.pi / 2, np.pi / 2), *rng.uniform(-np.pi / 6, np.pi / 6, 2)
    c, s = np.cos([roll / 2, pitch / 2, yaw / 2]), np.sin([roll / 2, pitch / 2, yaw / 2])
    quaternion = np.array(
        [
            s[0] * c[1] * c[2] - c[0] * s[1] * s[2],
            c[0] * s[1] * c[2] + s[0] * c[1] * s[2],
            c[0] * c[1] * s[2] - s[0] * s[1] * c[2],
            c[0] * c[1] * c[2] + s[0] * s[1] * s[2],
        ]
    )
    quaternion *= 1 if quaternion[3] >= 0 else -1
    light = [rng.uniform(-np.pi / 2, np.pi / 2), rng.uniform(np.pi / 8, np.pi / 2.5)]
    return np.array([*quaternion, *light, rng.random(), rng.random()], np.float32)


def render(obj: str, latents: np.ndarray, size: int, queue: multiprocessing.Queue) -> None:
    """All views of one object; runs in a process of its own, for a bad mesh kills the process."""
    import pybullet as p

    p.connect(p.DIRECT)
    shape = p.createVisualShape(p.GEOM_MESH, fileName=obj, meshScale=[1, 1, 1])
    body = p.createMultiBody(baseVisualShapeIndex=shape)
    low, high = bounds(obj)
    center, extent = (low + high) / 2, float(np.linalg.norm(high - low))
    p.removeBody(body)
    scale = 1.0 / max(extent, 1e-6)
    shape = p.createVisualShape(
        p.GEOM_MESH, fileName=obj, meshScale=[scale] * 3, visualFramePosition=(-center * scale).tolist()
    )
    body = p.createMultiBody(baseVisualShapeIndex=shape)
    projection = p.computeProjectionMatrixFOV(38, 1, 0.1, 10)
    view = p.computeViewMatrix([0, 0.25, 1.55], [0, 0, 0], [0, 1, 0])
    images = []
    for latent in latents:
        # the latent turns about x, y, z; models stand on the x-z plane (y up), so yaw is about y
        x, y, z, w = latent[:4]
        p.resetBasePositionAndOrientation(body, [0, 0, 0], [float(x), float(z), float(y), float(w)])
        azimuth, elevation, light_hue, floor_hue = latent[4:]
        direction = [
            float(np.cos(elevation) * np.sin(azimuth)),
            float(np.sin(elevation)),
            float(np.cos(elevation) * np.cos(azimuth)),
        ]
        _, _, rgba, _, mask = p.getCameraImage(
            2 * size, 2 * size, view, projection, lightDirection=direction, lightDistance=4, shadow=0,
            lightColor=colorsys.hsv_to_rgb(float(light_hue), 0.35, 1.0), lightAmbientCoeff=0.45,
            lightDiffuseCoeff=0.7, lightSpecularCoeff=0.1, renderer=p.ER_TINY_RENDERER,
        )  # fmt: skip
        rgb = np.asarray(rgba, np.uint8).reshape(2 * size, 2 * size, 4)[..., :3].astype(np.float32)
        drawn = np.asarray(mask).reshape(2 * size, 2 * size) >= 0
        floor = np.array(colorsys.hsv_to_rgb(float(floor_hue), 0.45, 0.75)) * 255
        rgb = np.where(drawn[..., None], rgb, floor)
        small = rgb.reshape(size, 2, size, 2, 3).mean((1, 3)).round().astype(np.uint8)
        images.append((small, float(drawn.mean())))
    queue.put(images)


def bounds(obj: str) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest corner of an OBJ file."""
    vertices = [line.split()[1:4] for line in Path(obj).read_text('latin-1').splitlines() if line.startswith('v ')]
    points = np.array(vertices, np.float64)
    return points.min(0), points.max(0)


def render_object(obj: str, latents: np.ndarray, size: int) -> list[np.ndarray] | None:
    """Views of one object, or None where the mesh fails or fills under 1 % of a view."""
    context = multiprocessing.get_context('spawn')
    queue: multiprocessing.Queue = context.Queue()
    process = context.Process(target=render, args=(obj, latents, size, queue))
    process.start()
    try:
        images = queue.get(timeout=60)
    except Exception:  # the child died or hangs: this object is left out, and the caller says so
        process.kill()
        return None
    process.join()
    if min(share for _, share in images) < 0.02:
        return None
    return [image for image, _ in images]


def main() -> int:
    """Render all objects of an archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('archive', help='BlendSwap-CC-0.sh3f')
    parser.add_argument('output', help='.npz')
    parser.add_argument('--train', type=int, default=20, help='training views per object')
    parser.add_argument('--test', type=int, default=4, help='test views per object')
    parser.add_argument('--size', type=int, default=64)
    args = parser.parse_args()
    views = {'train': args.train, 'test': args.test}
    parts: dict[str, list] = {f'{s}_{k}': [] for s in views for k in ('images', 'labels', 'latents')}
    names: list[str] = []
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(args.archive) as archive:
        archive.extractall(folder)
        models = catalogue(archive)
        for number, (name, path) in enumerate(models):
            latents = np.stack(
                [random_latents(np.random.default_rng([0, number, v])) for v in range(sum(views.values()))]
            )
            images = render_object(str(Path(folder) / path), latents, args.size)
            print(f'{number + 1}/{len(models)} {name}{"" if images else ": left out"}', file=sys.stderr, flush=True)
            if images is None:
                continue
            start = 0
            for split, count in views.items():
                parts[f'{split}_images'] += images[start : start + count]
                parts[f'{split}_labels'] += [len(names)] * count
                parts[f'{split}_latents'] += list(latents[start : start + count])
                start += count
            names.append(name)
    arrays = {key: np.asarray(value) for key, value in parts.items()}
    np.savez_compressed(args.output, names=np.array(names), **arrays)
    print(f'{len(names)} objects, {len(arrays["train_images"])} training and {len(arrays["test_images"])} test views')
    return 0


if __name__ == '__main__':
    sys.exit(main())
