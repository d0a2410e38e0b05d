"""eqssl embed: rows, paths and features of one's own images; everything or nothing."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from eqssl.apps.embed import embed
from eqssl.apps.evaluate import load_model
from eqssl.apps.open_config import open_config
from eqssl.datasets.image_reader import read
from eqssl.evaluation.stream import eval_image
from eqssl.utils.errors import UserError
from tests.conftest import write_images
from tests.integration.runs import train

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures('registered')]


@pytest.fixture(scope='module')
def trained(tiny_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp('embed')
    train(tiny_config, folder / 'run', train_cfg__max_iters=1, param_scheduler__0__warmup=0)
    return str(folder / 'run' / 'iter_1.pth')


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / 'images' / 'a', 5)
    write_images(tmp_path / 'images' / 'b' / 'deep', 4, seed=1)
    return tmp_path / 'images'


def rows(file):
    with open(file, newline='') as stream:
        return list(csv.DictReader(stream))


def test_rows_are_the_teachers_features_of_the_files_in_their_order(trained, tiny_config, images, tmp_path):
    record = embed(trained, str(images), tmp_path / 'out', part='cls_mean')
    found, listed = np.load(tmp_path / 'out' / 'embeddings.npy'), rows(tmp_path / 'out' / 'images.csv')
    assert [int(row['row']) for row in listed] == list(range(9)) and listed[5]['path'].startswith('b/deep/')
    model = load_model(open_config(tiny_config), trained)
    side = model.backbone.img_size[0]
    pictures = np.stack([eval_image(read(images / row['path']), side) for row in listed])
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        raw = model.predict(model.data_preprocessor.normalize(tensor), 'teacher')
    wanted = torch.cat([raw['cls'], raw['patch'].mean(1)], 1).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert record.results['embeddings'] == {'rows': 9, 'width': found.shape[1]}
    stored = json.loads((tmp_path / 'out' / 'experiment.json').read_text())['experiment']
    assert stored['kind'] == 'embedding' and stored['data']['images'] == 9 and len(stored['config']['hash']) == 8
    embed(trained, str(images), tmp_path / 'student', branch='student', dtype='float16', num_workers=2)
    half = np.load(tmp_path / 'student' / 'embeddings.npy')
    assert half.dtype == np.float16 and half.shape == (9, found.shape[1] // 2)


def test_unreadable_images_are_named_and_left_out(trained, images, tmp_path):
    (images / 'a' / 'torn.jpg').write_bytes(b'\xff\xd8\xff torn')
    embed(trained, str(images), tmp_path / 'out')
    assert len(np.load(tmp_path / 'out' / 'embeddings.npy')) == len(rows(tmp_path / 'out' / 'images.csv')) == 9
    assert 'torn.jpg' in rows(tmp_path / 'out' / 'unreadable.csv')[0]['image']
    assert not (tmp_path / 'out' / 'all.npy').exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(size=33), '--size 33 is no multiple of the patch size'),
        (dict(folder='/nowhere'), "'/nowhere' is not a folder"),
        (dict(checkpoint='/nowhere.pth'), '/nowhere.pth'),
        (dict(folder='TORN'), 'can be read; the first is'),
        (dict(out='FULL'), 'exists and is not empty'),
    ],
)
def test_what_cannot_be_embedded_is_told_and_leaves_nothing(trained, images, tmp_path, options, message):
    (tmp_path / 'torn').mkdir()
    (tmp_path / 'torn' / 'x.jpg').write_bytes(b'\xff\xd8\xff torn')
    if options.get('folder') == 'TORN':
        options = dict(folder=str(tmp_path / 'torn'))
    out = images if options.pop('out', None) else tmp_path / 'out'
    arguments = {'checkpoint': trained, 'folder': str(images), 'out': out, **options}
    with pytest.raises(UserError, match=message):
        embed(**arguments)
    assert not (tmp_path / 'out').exists() and not list(tmp_path.glob('*.tmp'))
    shutil.rmtree(tmp_path / 'torn')


def test_what_lies_beside_stays_and_a_link_to_an_empty_folder_is_followed(trained, images, tmp_path):
    (tmp_path / 'out.tmp').mkdir()
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'out').symlink_to(tmp_path / 'empty')
    embed(trained, str(images), tmp_path / 'out')
    assert (tmp_path / 'out.tmp').is_dir() and (tmp_path / 'empty' / 'embeddings.npy').is_file()
    with pytest.raises(UserError, match='--workers -1 is negative'):
        embed(trained, str(images), tmp_path / 'other', num_workers=-1)
