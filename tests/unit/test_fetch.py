"""Reading the binary CIFAR archives."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from eqssl.datasets.fetch import CIFAR10, CIFAR100, _check_arrays, read_records, verify_digest


@pytest.mark.parametrize('cifar', [CIFAR10, CIFAR100], ids=lambda c: c.name)
def test_records_become_images_and_fine_labels(cifar, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    records = b''
    for label, image in enumerate(images):
        coarse = b'\x63' if cifar.label_bytes == 2 else b''
        records += coarse + bytes([label]) + image.transpose(2, 0, 1).tobytes()
    archive = tmp_path / 'set.tar.gz'
    with tarfile.open(archive, 'w:gz') as tar:
        for name in [*cifar.members['train'], *cifar.members['test']]:
            info = tarfile.TarInfo(name)
            info.size = len(records)
            tar.addfile(info, io.BytesIO(records))
    arrays = read_records(archive, cifar)
    assert np.array_equal(arrays['test_images'], images) and arrays['test_labels'].tolist() == [0, 1, 2, 3]
    assert len(arrays['train_images']) == 4 * len(cifar.members['train'])
    with pytest.raises(OSError, match='unexpected sizes'):
        _check_arrays(arrays, cifar)
    with pytest.raises(OSError, match='md5'):
        verify_digest(archive, 'md5', cifar.md5)
