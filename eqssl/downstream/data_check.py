"""Data sets of fine-tuning against the classes of the config: what libraries skip in silence is said before the run.

mmdet drops annotations whose class has another name and numbers classes in the order of the file, mmseg's metric drops
pixels beyond the classes, mmpretrain numbers class folders per split, and a missing file ends the run when it is drawn.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, TRANSFORMS

from eqssl.config.tree import dicts, placed_dicts
from eqssl.utils.errors import UserError, did_you_mean

LABEL_MAPS = 300  # read at most so many label maps of a set, spread evenly


def _leaves(cfg: Config, loaders: Sequence[str]) -> Iterator[tuple[str, dict, type]]:
    """Place, config and class of every data set that reads files (not of wrappers around them); equal ones once."""
    from mmengine.dataset import BaseDataset

    seen = []
    with DATASETS.switch_scope_and_registry(None) as registry:  # the library's own
        kinds = {name: registry.get(name) for name in {str(node.get('type')) for node in dicts(cfg._cfg_dict)}}
    for loader in loaders:
        for place, node in placed_dicts((cfg.get(loader) or {}).get('dataset'), f'{loader}.dataset'):
            kind = kinds.get(str(node.get('type')))
            if kind is None or not (isinstance(kind, type) and issubclass(kind, BaseDataset)):
                continue
            plain = {k: v for k, v in node.items() if k != 'pipeline'}
            if plain not in seen:
                seen.append(plain)
                yield place, node, kind


def _build(place: str, node: dict) -> Any:
    """With all its images, also those that its filter would leave out for want of annotations."""
    try:
        return DATASETS.build({**copy.deepcopy(node), 'lazy_init': False, 'filter_cfg': None})
    except (OSError, RuntimeError, AssertionError, ValueError, KeyError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise UserError(f'{place} cannot be opened: {type(error).__name__}: {reason}') from error


def _some(names: Sequence[str]) -> str:
    return ', '.join(map(str, names[:5])) + (f' and {len(names) - 5} more' if len(names) > 5 else '')


def _check_categories(place: str, node: dict, classes: Sequence[str]) -> None:
    """COCO's file names its classes: all of ours must be there, in its order (mmdet follows it, not the config's)."""
    file = Path(node.get('data_root') or '') / node['ann_file']
    try:
        found = [c['name'] for c in json.loads(file.read_text(encoding='utf-8'))['categories']]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place}: '{file}' is no annotation file of COCO's format ({error})") from error
    for name in classes:
        if name not in found:
            raise UserError(
                f"{place}.metainfo.classes: '{name}' is not among the categories of '{file.name}' ({_some(found)})"
                f'{did_you_mean(name, found)}; mmdet would skip its annotations and shift the other numbers'
            )
    ordered = [name for name in found if name in classes]
    if ordered != list(classes):
        raise UserError(
            f"{place}.metainfo.classes: mmdet numbers classes in the order of '{file.name}'; write them in that order: "
            f'{tuple(ordered)}'
        )


def _check_files(place: str, infos: Sequence[dict]) -> None:
    """Images and masks that a data set lists exist."""
    for key, what in (('img_path', 'images'), ('seg_map_path', 'masks')):
        paths = [info[key] for info in infos if isinstance(info.get(key), str)]
        missing = [path for path in paths if '://' not in path and not Path(path).exists()]
        if missing:
            raise UserError(f"{place}: {len(missing)} of {len(paths)} {what} are missing, the first is '{missing[0]}'")


def _names_in_xml(infos: Sequence[dict]) -> list[str]:
    from xml.etree import ElementTree

    names: Counter[str] = Counter()
    for info in infos:
        if Path(info.get('xml_path') or '').is_file():
            try:
                tree = ElementTree.parse(info['xml_path'])
            except ElementTree.ParseError as error:
                raise UserError(f"annotation '{info['xml_path']}' cannot be read ({error})") from error
            names.update(node.text or '' for node in tree.iterfind('object/name'))
    return sorted(names)


def _check_instances(place: str, infos: Sequence[dict], classes: Sequence[str], training: bool) -> None:
    """Training annotations of the classes exist, under these names."""
    counts = Counter(instance['bbox_label'] for info in infos for instance in info.get('instances', []))
    absent = [name for number, name in enumerate(classes) if not counts[number]]
    if not training or not absent:
        return
    known = _names_in_xml(infos)
    others = [name for name in known if name not in classes]
    for name in absent:
        hint = did_you_mean(name, others)
        if hint or len(absent) == len(classes):
            there = f'; the annotations name {_some(known)}' if known else ''
            raise UserError(f"{place}.metainfo.classes: '{name}' has no annotation{there}{hint}")
    print_log(f'{place}: no annotation of {_some(absent)}', 'current')


def _load_label(node: dict, info: dict) -> np.ndarray | None:
    """A label map as the data set's own pipeline reads it."""
    step = next((s for s in node.get('pipeline', []) if str(s.get('type', '')).endswith('LoadAnnotations')), None)
    if step is None or not info.get('seg_map_path'):
        return None
    return TRANSFORMS.build(copy.deepcopy(step))({**info, 'seg_fields': []})['gt_seg_map']


def _check_label_maps(place: str, node: dict, infos: Sequence[dict], classes: int, ignore: int) -> None:
    """No pixel beyond the classes (training fails there, the metric leaves it out in silence)."""
    chosen = np.unique(np.linspace(0, len(infos) - 1, min(LABEL_MAPS, len(infos))).astype(int))
    for index in chosen:
        info = infos[index]
        try:
            label = _load_label(node, info)
        except Exception as error:  # whatever mmcv's decoders raise
            raise UserError(f"{place}: mask '{info.get('seg_map_path')}' cannot be read ({error})") from error
        if label is None:
            return
        beyond = [int(v) for v in np.unique(label) if v >= classes and v != ignore]
        if beyond:
            raise UserError(
                f"{place}: mask '{info['seg_map_path']}' has label {beyond[0]}, but there are {classes} classes (0 to "
                f'{classes - 1}; {ignore} is ignored); set metainfo.classes and num_classes, or reduce_zero_label'
            )


def _head_classes(node: object) -> Iterator[tuple[str, int]]:
    for place, found in placed_dicts(node, 'model'):
        if isinstance(found.get('num_classes'), int) and place.endswith(('_head', ']')):
            yield f'{place}.num_classes', found['num_classes']


def _check_heads(cfg: Config, classes: Sequence[str]) -> None:
    """Every detection or segmentation head has as many classes as the data."""
    for place, count in _head_classes(cfg.model):
        binary = cfg.get('default_scope') == 'mmseg' and len(classes) <= 2 and count <= 2  # one channel, or two
        other = 'rpn' in place or 'semantic_head' in place  # one thing against all, and stuff of another data set
        if not other and count != len(classes) and not binary:
            raise UserError(f'{place}={count}, but the data have {len(classes)} classes ({_some(list(classes))})')


def _class_names(place: str, node: dict, kind: type) -> tuple[str, ...]:
    """Of a config, of a file that it names (one class a line), or of the data set's kind."""
    given = (node.get('metainfo') or {}).get('classes')
    if isinstance(given, str):  # mmengine reads a file
        if not Path(given).is_file():
            raise UserError(f"{place}.metainfo.classes='{given}' is neither a list of names nor a file with one a line")
        return tuple(line.strip() for line in Path(given).read_text(encoding='utf-8').splitlines() if line.strip())
    return tuple(given or getattr(kind, 'METAINFO', {}).get('classes') or ())


def check_data(cfg: Config, loaders: Sequence[str]) -> None:
    """All data sets of a completed config.

    Args:
        cfg: with its library loaded.
        loaders: config keys of the loaders that will be used.

    Raises:
        UserError: says which data set, class or file.
    """
    scope, folders = cfg.get('default_scope', 'mmpretrain'), {}
    named: tuple[str, tuple[str, ...]] | None = None  # the first data set and its classes
    for place, node, kind in _leaves(cfg, loaders):
        training = place.startswith('train')
        classes = _class_names(place, node, kind)
        if scope == 'mmdet' and str(node.get('ann_file', '')).endswith('.json') and classes:
            _check_categories(place, node, classes)
        dataset = _build(place, node)
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        if not infos:
            raise UserError(f'{place} holds no image')
        _check_files(place, infos)
        if scope == 'mmdet':
            _check_heads(cfg, classes)
            _check_instances(place, infos, classes, training)
        elif scope == 'mmseg':
            classes = dataset.metainfo.get('classes') or ()
            _check_heads(cfg, classes)
            _check_label_maps(place, node, infos, len(classes), getattr(dataset, 'ignore_index', 255))
        elif getattr(dataset, 'folder_to_idx', None):
            folders[place] = dataset.folder_to_idx
        if scope != 'mmpretrain' and classes:
            named = named or (place, tuple(classes))
            if tuple(classes) != named[1]:
                raise UserError(
                    f'{place}.metainfo.classes={tuple(classes)} are not those of {named[0]}, {named[1]}, or in another '
                    'order: their numbers would differ'
                )
    _compare_folders(folders)


def _compare_folders(folders: dict[str, dict[str, int]]) -> None:
    """mmpretrain numbers class folders per split: a folder that is missing in one shifts the numbers after it."""
    places = list(folders)
    for place in places[1:]:
        for name in sorted(set(folders[place]) ^ set(folders[places[0]])):
            lacking = place if name not in folders[place] else places[0]
            raise UserError(
                f"{lacking} has no class folder '{name}', which the other split has: mmpretrain numbers the folders of "
                'each split, and would give one class two numbers; make the folder, empty if need be'
            )
