"""Sources, multi-crop, sampler and the batch contract."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from eqssl.datasets import ArrayImages, ImageFolder, MultiCrop, MultiViewDataset, PositionSampler, collate_views
from eqssl.datasets.depth import depth_note
from eqssl.datasets.listing import list_images
from eqssl.datasets.multicrop import draw_box, draw_photometrics, resample
from eqssl.utils.counters import counted
from eqssl.utils.errors import UserError
from eqssl.utils.randomness import sample_key, sample_rng
from tests.conftest import write_images
from tests.helpers import VIEWS, Images, batch, dataset

pytestmark = pytest.mark.usefixtures('registered')


def smooth(size=(48, 40)) -> Image.Image:
    low = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)


def test_folder_flat_or_nested_sorted_and_labelled(tmp_path):
    write_images(tmp_path / 'b', 2)
    write_images(tmp_path / 'a' / 'deep', 3)
    (tmp_path / 'note.txt').write_text('no image')
    source = ImageFolder(str(tmp_path))
    assert len(source) == 5 and source.files == sorted(source.files) and source.label(0) == -1
    labelled = ImageFolder(str(tmp_path), with_label=True)
    assert labelled.classes == ['a', 'b'] and labelled.labels.tolist() == [0, 0, 0, 1, 1]
    with pytest.raises(UserError, match="folder 'b'"):
        ImageFolder(str(tmp_path), with_label=True, classes=['a'])
    parts = [ImageFolder(str(tmp_path), part=p).files for p in ('train', 'test')]
    assert sorted(parts[0] + parts[1]) == source.files and len(parts[1]) == 1


def colored(folder, colors):
    """One-color images: class folder -> number of images."""
    for name, count in colors.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new('RGB', (8, 8)).save(folder / name / f'{i}.png')
    return str(folder)


def test_class_numbers_belong_to_the_tree_whatever_part_of_it_is_read(tmp_path):
    root = colored(tmp_path / 'a', {'a': 10, 'b': 1, 'c': 10, 'd': 10})
    train, test = (ImageFolder(root, with_label=True, part=part) for part in ('train', 'test'))
    assert train.classes == test.classes == ['a', 'b', 'c', 'd']
    assert 1 not in test.labels and set(train.labels) | set(test.labels) == {0, 1, 2, 3}
    for source in (train, test):
        assert [source.classes[source.label(i)] for i in range(len(source))] == [f[0] for f in source.files]


def test_a_tree_that_lacks_a_class_takes_the_others_numbers(tmp_path):
    train = ImageFolder(colored(tmp_path / 'train', {'a': 2, 'b': 2, 'c': 2}), with_label=True)
    val = ImageFolder(colored(tmp_path / 'val', {'a': 1, 'c': 1}), with_label=True)
    val.renumber(train.classes)
    assert val.labels.tolist() == [0, 2] and val.classes == ['a', 'b', 'c']
    with pytest.raises(UserError, match="class 'b', which is not among the classes"):
        ImageFolder(colored(tmp_path / 'more', {'a': 1, 'b': 1}), with_label=True).renumber(['a', 'c'])
    unlabelled = ImageFolder(str(tmp_path / 'val'))
    unlabelled.renumber(['x'])
    assert unlabelled.labels.tolist() == [-1, -1]


def test_hidden_files_are_no_data_and_what_is_left_out_is_counted(tmp_path):
    root = write_images(tmp_path / 'cat', 3).parent
    write_images(root / '.ipynb_checkpoints', 2)
    write_images(root / 'dog', 2)
    for name in ('cat/x.avif', 'cat/y.AVIF', 'note.txt', 'cat/._000.jpg', 'plain'):
        (root / name).write_bytes(b'x')
    (root / 'cat/001.jpg').rename(root / 'cat/001.jfif')
    source = ImageFolder(str(root), with_label=True)
    assert (source.classes, len(source)) == (['cat', 'dog'], 5)
    said = list_images(root).left_out()
    assert said == '4 files with other endings (.avif 2, .txt 1, none 1), 2 hidden files or folders'
    with pytest.raises(UserError, match=r'holds no image .* left out: 1 files with other endings \(.nii 1\)'):
        (tmp_path / 'scans').mkdir()
        (tmp_path / 'scans/a.nii').write_bytes(b'x')
        ImageFolder(str(tmp_path / 'scans'))


def test_links_give_each_real_folder_once_and_end(tmp_path):
    root = write_images(tmp_path / 'data' / 'cat', 3).parent
    outside = write_images(tmp_path / 'outside', 2)
    (root / 'all').symlink_to('.')
    (root / 'cat' / 'again').symlink_to('..')
    (root / 'aa_cat').symlink_to('cat')  # sorted before the real folder, and still not in its place
    (root / 'up').symlink_to('..')
    (root / 'self').symlink_to('self')
    (root / 'dog').symlink_to(outside)
    (outside / 'back').symlink_to(root)
    found = list_images(root)
    assert found.files == ['cat/000.jpg', 'cat/001.jpg', 'cat/002.jpg', 'dog/000.jpg', 'dog/001.jpg']
    assert found.links == 5
    hidden = tmp_path / 'hidden'
    write_images(hidden / '.cache' / 'x', 2)
    (hidden / 'x').symlink_to('.cache/x')
    assert list_images(hidden).files == ['x/000.jpg', 'x/001.jpg'], 'a link may lead to a hidden folder'


def test_file_names_that_are_no_utf8_can_be_written_anywhere(tmp_path):
    write_images(tmp_path, 2)
    os.rename(tmp_path / '000.jpg', os.fsencode(tmp_path) + b'/caf\xe9.jpg')  # noqa: PTH104
    source = ImageFolder(str(tmp_path))
    assert [source.name(i).rpartition('/')[2] for i in range(2)] == ['001.jpg', r'caf\xe9.jpg']
    assert all(source.load(i).shape[2] == 3 for i in range(2))


@pytest.mark.parametrize(
    ('array', 'message'),
    [
        (np.zeros((5, 8, 8), np.uint8), r'uint8 \(5, 8, 8\); uint8 .n, height, width, 3. .RGB. is read'),
        (np.zeros((5, 3, 8, 8), np.uint8), r'uint8 \(5, 3, 8, 8\)'),
        (np.zeros((5, 8, 8, 3), np.float32), 'float32'),
        (np.empty((0, 8, 8, 3), np.uint8), 'or an empty one'),
        (np.array([None, 'x'], object), 'an array cannot be read'),
    ],
)
def test_arrays_that_are_no_images_are_refused(array, message, tmp_path):
    np.save(tmp_path / 'train_images.npy', array, allow_pickle=True)
    with pytest.raises(UserError, match=message):
        ArrayImages(str(tmp_path))
    (tmp_path / 'train_images.npy').write_bytes(b'torn')
    with pytest.raises(UserError, match='an array cannot be read'):
        ArrayImages(str(tmp_path))


def test_parts_of_arrays_and_of_too_few_images(tmp_path):
    images = np.arange(12, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    np.save(tmp_path / 'train_images.npy', images)
    np.save(tmp_path / 'train_labels.npy', np.arange(12))
    train, test = (ArrayImages(str(tmp_path), start=1, part=part) for part in ('train', 'test'))
    assert test.labels.tolist() == [5, 10] and sorted([*train.labels, *test.labels]) == list(range(1, 12))
    assert test.load(1)[0, 0, 0] == 10 and test.name(1).endswith('train[10]')
    with pytest.raises(UserError, match="part='test' of 3 images is empty: every fifth image is a test image"):
        ArrayImages(str(tmp_path), stop=3, part='test')
    with pytest.raises(UserError, match='start=50, stop=None leave none of 12 images'):
        ArrayImages(str(tmp_path), start=50)


def test_the_range_of_deep_images_is_looked_at(tmp_path):
    for i in range(3):
        Image.fromarray(np.array([[0, 4000 + i]], np.uint16)).save(tmp_path / f'{i}.png')
    write_images(tmp_path, 2)
    note = depth_note(ImageFolder(str(tmp_path)))
    assert note.startswith(
        '3 of 3 files looked at have more than 8 bits; the largest value in them is 4002, white is 65535'
    )
    assert 'white is 4095 (set by the source)' in depth_note(ImageFolder(str(tmp_path), white=4095))
    assert ImageFolder(str(tmp_path), white=4095).load(2).shape[2] == 3
    assert depth_note(ImageFolder(str(write_images(tmp_path / 'plain', 2)))) is None and depth_note(Images(2)) is None
    with pytest.raises(UserError, match='white=0 must be a positive number'):
        ImageFolder(str(tmp_path), white=0)


def test_arrays_with_labels_latents_and_parts(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / 'x.npz', train_images=rng.integers(0, 255, (6, 8, 8, 3), dtype=np.uint8),
        train_labels=np.arange(6), train_latents=rng.random((6, 2)),
    )  # fmt: skip
    source = ArrayImages(str(tmp_path / 'x.npz'), start=2, stop=5)
    assert len(source) == 3 and source.label(0) == 2 and source.latents.shape == (3, 2)
    with pytest.raises(UserError, match='test_images'):
        ArrayImages(str(tmp_path / 'x.npz'), split='test')
    with pytest.raises(UserError, match='neither'):
        ArrayImages(str(tmp_path / 'none'))


def test_embedded_objects_are_complete():
    from tests.conftest import ROOT

    for split, views in (('train', 20), ('test', 4)):
        source = ArrayImages(str(ROOT / 'demo/objects64.npz'), split=split)
        assert (np.bincount(source.labels) == views).all() and source.images.shape[1:] == (64, 64, 3)
        np.testing.assert_allclose(np.linalg.norm(source.latents[:, :4], axis=1), 1, atol=1e-5)


def test_crop_boxes_keep_scale_and_ratio():
    from eqssl.datasets import ViewSpec

    rng, spec = np.random.default_rng(0), ViewSpec(size=8, scale=(0.2, 0.6))
    boxes = np.array([draw_box(rng, 100, 80, spec) for _ in range(2000)])
    area, ratio = boxes[:, 2] * boxes[:, 3] / 8000, boxes[:, 2] / boxes[:, 3]
    assert area.min() > 0.19 and area.max() < 0.62 and abs(area.mean() - 0.4) < 0.02
    assert ratio.min() > 0.7 and ratio.max() < 1.4
    assert (boxes[:, 0] + boxes[:, 2] <= 80).all() and (boxes[:, 1] + boxes[:, 3] <= 100).all()


def test_photometric_draws_have_their_probabilities():
    from eqssl.datasets import ViewSpec

    spec = ViewSpec(size=8, jitter_prob=0.8, gray_prob=0.2, blur_prob=0.5, solarize_prob=0.1)
    p = np.stack([draw_photometrics(np.random.default_rng(i), spec) for i in range(3000)])
    shares = [(p[:, 0] != 1).mean(), p[:, 4].mean(), (p[:, 5] > 0).mean(), p[:, 6].mean()]
    assert np.abs(np.array(shares) - [0.8, 0.2, 0.5, 0.1]).max() < 0.03
    assert p[:, 0].min() >= 0.6 and p[:, 0].max() <= 1.4 and np.abs(p[:, 3]).max() <= 0.1


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_resampling_one_crop_equals_crop_then_resize(backend):
    image = np.asarray(smooth((64, 64)))
    got = resample(image, (8, 16, 32, 32), 16, backend).astype(int)
    want = np.asarray(Image.fromarray(image[16:48, 8:40]).resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(got - want).mean() < 3


def test_batch_contract_one_uint8_tensor_per_size():
    data = batch(5)
    assert data['crops']['global'].shape == (2, 5, 16, 16, 3) and data['crops']['local'].shape == (2, 5, 8, 8, 3)
    assert all(x.dtype == torch.uint8 for x in data['crops'].values())
    assert data['box']['global'].shape == (2, 5, 5) and data['photo']['local'].shape == (2, 5, 7)
    assert data['mask_grid'].shape == (10, 16) and data['mask_index'].shape == data['mask_weight'].shape


def test_recorded_boxes_reproduce_the_crops():
    data, source = batch(4), Images()
    for i in range(4):
        x, y, w, h, flip = data['box']['global'][0, i].tolist()
        crop = resample(source.load(int(data['index'][i])), (int(x), int(y), int(w), int(h)), 16, 'cv2')
        assert np.array_equal(crop[:, ::-1] if flip else crop, data['crops']['global'][0, i].numpy())


def test_one_decode_per_sample():
    data = dataset()
    with counted() as counts:
        data[(3, 3)]
    assert counts['decodes'] == 1


def test_views_do_not_depend_on_workers_batch_or_order_and_differ_between_epochs():
    data = dataset(count=12)

    def run(workers, size):
        sampler = PositionSampler(data, seed=1)
        loader = DataLoader(data, size, sampler=sampler, num_workers=workers, collate_fn=collate_views)
        seen = {}
        for number, b in enumerate(loader):
            for i, key in enumerate(b['key'].tolist()):  # one for each position
                seen[key] = (b['index'][i].item(), b['crops']['global'][:, i], b['photo']['local'][:, i])
            if number * size >= 24:
                break
        return seen

    first, second = (
        {position: seen[sample_key(data.seed, position)] for position in range(24)} for seen in (run(0, 4), run(2, 3))
    )
    for position in range(24):
        a, b = first[position], second[position]
        assert a[0] == b[0] and torch.equal(a[1], b[1]) and torch.equal(a[2], b[2])
    by_image = {first[p][0]: first[p][1] for p in range(12)}
    assert sorted(by_image) == list(range(12))
    assert all(not torch.equal(by_image[first[p][0]], first[p][1]) for p in range(12, 24)), 'new views every epoch'


def test_sampler_deals_positions_to_ranks_and_skips(monkeypatch):
    def take(rank, world, skip=0, n=6):
        monkeypatch.setattr('eqssl.datasets.sampler.get_dist_info', lambda: (rank, world))
        sampler = PositionSampler(range(10), seed=3)
        sampler.skip(skip)
        iterator = iter(sampler)
        return [next(iterator) for _ in range(n)]

    one = take(0, 1, n=12)
    assert [p for _, p in one] == list(range(12))
    assert take(0, 2) == one[0::2] and take(1, 2) == one[1::2]
    assert take(1, 2, skip=2, n=4) == one[1::2][2:]
    with pytest.raises(UserError, match='ranks'):
        take(0, 11)


def test_unreadable_images_are_replaced_deterministically_and_reported(tmp_path):
    write_images(tmp_path, 6)
    (tmp_path / '002.jpg').write_bytes(b'broken')
    data = MultiViewDataset(dict(type='eqssl.ImageFolder', data_root=str(tmp_path)), VIEWS, seed=5)
    a, b = data[(2, 17)], data[(2, 17)]
    assert a['index'] == b['index'] != 2
    assert len(a['unreadable']) == 1 and a['unreadable'][0][0].endswith('002.jpg')
    assert collate_views([a, data[(0, 18)]])['unreadable'] == a['unreadable']


@pytest.mark.parametrize(
    ('views', 'message'),
    [
        ([dict(size=16, scale=(0, 1))], r'views.views\[0\].scale=\(0, 1\) is not a range'),
        ([dict(size=16), dict(size=8)], "views: group 'global' mixes sizes"),
        ([dict(size=8), dict(size=8, blur_prob=2)], r'views.views\[1\].blur_prob=2 is not a probability'),
        ([], r'views.views=\[\]: at least one'),
    ],
)
def test_wrong_views_are_refused_with_their_key(views, message):
    with pytest.raises(UserError, match=f'^train_dataloader.dataset.{message}'):
        MultiViewDataset(Images(4), dict(type='eqssl.MultiCrop', views=views))


def test_augmenter_turns_the_batch_into_normalized_views():
    from eqssl.augment.augmenter import ViewAugmenter

    augmenter, data = ViewAugmenter(), batch(4)
    for name in data['photo']:
        data['photo'][name][:] = torch.tensor([1.0, 1, 1, 0, 0, 0, 0])
    views = augmenter(data, True)['views']
    raw = data['crops']['global'].flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    want = (raw - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(views.crops['global'], want)
    torch.testing.assert_close(augmenter.denormalize(want), raw, atol=1e-5, rtol=0)
    assert torch.equal(views.view('global', 1), views.crops['global'][4:])


def test_every_rank_gets_full_batches_for_ever_whatever_the_number_of_images(monkeypatch):
    """Losses over all ranks never meet an uneven last batch: 10 images, 2 ranks, batches of 4."""
    from torch.utils.data import DataLoader

    from eqssl.datasets import PositionSampler

    seen = []
    for rank in range(2):
        monkeypatch.setattr('eqssl.datasets.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        loader = DataLoader(range(10), 4, sampler=PositionSampler(range(10)), collate_fn=list, drop_last=True)
        batches = list(itertools.islice(_positions(loader), 5))
        assert [len(b) for b in batches] == [4] * 5
        seen.append(batches)
    assert sorted(p for rank in seen for b in rank for p in b) == list(range(40))


def _positions(loader):
    """Positions batch by batch, as the sampler of a loader deals them."""
    for dealt in loader.batch_sampler:
        yield [position for _, position in dealt]


def test_the_views_of_a_position_are_these_in_every_version():
    """A run that is resumed with a later version must see the same views: golden draws."""
    views = [dict(group='global', size=32, num=2), dict(group='local', size=16, num=1, scale=(0.05, 0.25))]
    drawn = MultiCrop(views).draw(sample_rng(5, 17, 'views'), 60, 80)
    assert drawn['global']['box'].tolist() == [[10, 10, 42, 36, 0], [18, 2, 52, 41, 0]]
    assert drawn['local']['box'].tolist() == [[35, 8, 14, 18, 0]]
    photo = [[1.1694, 0.88324, 0.98567, 0.0936, 0, 0, 0], [1, 1, 1, 0, 0, 1.78493, 0]]
    np.testing.assert_allclose(drawn['global']['photo'], photo, atol=1e-5)
    np.testing.assert_allclose(drawn['local']['photo'], [[0.84944, 1.02256, 0.85609, -0.01299, 0, 0, 0]], atol=1e-5)
