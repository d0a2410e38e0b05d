"""A strict initializer: a pre-trained backbone is loaded completely, or the run does not start."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import update_init_info
from torch import Tensor

from eqssl.downstream.backbone_file import FoundBackbone, read_backbone
from eqssl.registry import WEIGHT_INITIALIZERS
from eqssl.utils.errors import UserError

# What a file may lack (ln2 is the norm after pooling, new with every head) and what it may hold beyond the backbone.
MAY_BE_MISSING = ('mask_token', 'ln2.weight', 'ln2.bias')
MAY_BE_LEFT = ('mask_token', 'ln1.weight', 'ln1.bias')
# The backbone's settings that make a place for a tensor.
SETTINGS = {'.gamma': 'layer_scale_init_value', 'register_tokens': 'num_registers'}


def resize_position_embedding(
    embedding: Tensor, prefix: int, grid: tuple[int, int], old: tuple[int, int] | None = None, antialias: bool = False
) -> Tensor:
    """Bicubic resizing of a position grid; embeddings of class and register tokens stay as they are.

    Args:
        embedding: ``[1, prefix + n, D]``.
        prefix: number of tokens in front of the patches.
        grid: rows and columns of the new grid.
        old: those of the old one; None: it is square.
        antialias: as DINOv2 does with register tokens (in its own code, transformers and timm), and not without.

    Returns:
        ``[1, prefix + rows * columns, D]``.
    """
    front, patches = embedding[:, :prefix], embedding[:, prefix:]
    side = math.isqrt(patches.shape[1])
    rows, columns = old or (side, side)
    if (rows, columns) == tuple(grid):
        return embedding
    maps = patches.reshape(1, rows, columns, -1).permute(0, 3, 1, 2).float()
    new = F.interpolate(maps, size=grid, mode='bicubic', align_corners=False, antialias=antialias)
    return torch.cat([front, new.flatten(2).transpose(1, 2).to(embedding.dtype)], dim=1)


def _grid_of(count: int, found: FoundBackbone, registers: int, own: int) -> tuple[int, tuple[int, int] | None]:
    """Number of a position embedding's tokens before the patches, and the patches' grid (None: as the backbone's).

    The grid is that of the config inside the file. Without a config it is square, as all published ones are; if it
    cannot be, and there are as many tokens as the backbone has, it is the backbone's.

    Args:
        count: tokens of the file's embedding.
        found: the file's backbone.
        registers: its register tokens.
        own: tokens of the backbone's embedding.
    """
    front = int('cls_token' in found.state)
    for number, prefix in enumerate((front, 0, 1, front + registers)):
        if found.grid and math.prod(found.grid) == count - prefix:
            return prefix, found.grid
        side = math.isqrt(max(0, count - prefix))
        if side and side * side == count - prefix:
            return prefix, (side, side)
        if number == 0 and count == own:
            return prefix, None
    raise UserError(f'its position embedding of {count} tokens has no square grid, which resizing needs')


def fit_position_embedding(found: FoundBackbone, module: nn.Module) -> dict[str, Tensor]:
    """A file's position embedding for a backbone's grid and tokens, and its register tokens, if it has any.

    Registers have no position here (as in DINOv2); where a file gives them one, it is added to the tokens.

    Raises:
        UserError: its grid is not square (and not the backbone's), or it lacks a token that the backbone has.
    """
    embedding, own = found.state['pos_embed'], module.state_dict()['pos_embed']
    shape, fitted = tuple(embedding.shape), {'pos_embed': embedding}
    if 'register_tokens' in found.state:
        fitted['register_tokens'] = found.state['register_tokens']
    if len(shape) != 3 or shape[2] != own.shape[2]:
        return fitted  # to be refused with the other shapes
    if not hasattr(module, 'patch_resolution'):
        if embedding.shape == own.shape:
            return fitted
        raise UserError(
            f'{type(module).__name__} does not say its grid, to which positions are resized; use eqssl.DenseViT'
        )
    rows, columns = module.patch_resolution  # type: ignore[misc]
    needed = own.shape[1] - rows * columns
    registers = fitted['register_tokens'].shape[1] if 'register_tokens' in fitted else 0
    prefix, grid = _grid_of(shape[1], found, registers, own.shape[1])
    if grid is None:
        return fitted
    if registers and prefix == int('cls_token' in found.state) + registers:
        fitted['register_tokens'] = fitted['register_tokens'] + embedding[:, prefix - registers : prefix]
    if prefix == 0 and needed == 1 and 'cls_token' in found.state:  # timm's no_embed_class: its class token has none
        embedding, prefix = torch.cat([torch.zeros_like(embedding[:, :1]), embedding], dim=1), 1
    if prefix < needed:
        raise UserError(f'its position embedding has {prefix} tokens before the patches, the backbone {needed}')
    resized = resize_position_embedding(embedding, prefix, (rows, columns), grid, antialias=registers > 0)
    fitted['pos_embed'] = torch.cat([resized[:, :needed], resized[:, prefix:]], dim=1)
    return fitted


@dataclass
class Fit:
    """What of a file goes into a backbone.

    Attributes:
        state: what is loaded.
        missing: names of the backbone without a tensor in the file.
        left: names of the file without a place in the backbone.
        shapes: sentences on tensors of another shape.
        patch_sizes_differ: whether the patch embedding's kernel is among them.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    patch_sizes_differ: bool = False


def fit(module: nn.Module, found: FoundBackbone) -> Fit:
    """Match a file's tensors with a backbone's."""
    own, result = module.state_dict(), Fit()
    given = dict(found.state)
    if 'pos_embed' in own and 'pos_embed' in given:
        given |= fit_position_embedding(found, module)
    for name, value in own.items():
        if name not in given:
            result.missing += [] if name in MAY_BE_MISSING or name.endswith('num_batches_tracked') else [name]
            continue
        tensor = given.pop(name)
        if name == 'mask_token' and tensor.numel() == value.numel():
            tensor = tensor.reshape(value.shape)  # [1, D] in iBOT and DINOv2
        if tensor.layout != torch.strided or tensor.is_meta:
            result.shapes.append(f'{name} is no dense tensor in the file')
        elif tensor.shape != value.shape:
            patch = name == 'patch_embed.projection.weight' and tensor.shape[2:] != value.shape[2:]
            result.patch_sizes_differ |= patch
            result.shapes.append(f'{name} is {tuple(tensor.shape)} in the file and {tuple(value.shape)} in the config')
        else:
            result.state[name] = tensor
    optional = MAY_BE_LEFT if 'cls_token' in own else (*MAY_BE_LEFT, 'cls_token')
    result.left = [name for name in given if name not in optional and not name.endswith('num_batches_tracked')]
    result.left += found.unknown
    return result


def _check_heads(module: nn.Module, found: FoundBackbone) -> None:
    """Attention heads, which no shape tells: those of the config in the file; 12 in MoCo v3's ViT-S."""
    settings = getattr(module, 'arch_settings', {})
    own, heads = settings.get('num_heads'), found.heads
    if ('base_encoder.' in found.place or 'momentum_encoder.' in found.place) and settings.get('embed_dims') == 384:
        heads = 12
    if own is not None and heads is not None and own != heads:
        raise UserError(
            f'its ViT has {heads} heads, the config {own}; set arch=dict(embed_dims={settings["embed_dims"]}, '
            f'num_layers={settings["num_layers"]}, num_heads={heads}, '
            f'feedforward_channels={settings["feedforward_channels"]})'
        )


def _kind(module: nn.Module) -> str:
    names = module.state_dict()
    return 'ViT' if 'patch_embed.projection.weight' in names else 'ResNet' if 'layer1.0.conv1.weight' in names else '?'


def load_backbone(module: nn.Module, path: str, branch: str | None = None) -> str:
    """Load a file's backbone into a module.

    Args:
        module: a ViT or ResNet with mmpretrain's names.
        path: the checkpoint.
        branch: 'teacher', 'student' or None.

    Returns and raises as :func:`load_found`; also what :func:`read_backbone` raises.
    """
    return load_found(module, read_backbone(path, branch), path)


def load_found(module: nn.Module, found: FoundBackbone, path: str) -> str:
    """Load a backbone that was found in a file.

    Returns:
        a sentence with the numbers of tensors.

    Raises:
        UserError: it does not fit: another kind of network, another shape, a tensor missing or left over.
    """
    kind = _kind(module)
    if kind not in ('?', found.family.kind):
        raise UserError(f"checkpoint '{path}' holds a {found.family.kind}, but the config's backbone is a {kind}")
    try:
        _check_heads(module, found)
        result = fit(module, found)
    except UserError as error:
        raise UserError(f"checkpoint '{path}' does not fit the backbone: {error}") from error
    count = len(result.state) + len(result.missing) + len(result.shapes)
    loaded = f'{len(result.state)} of {count} tensors'
    if result.shapes:
        hint = '; the patch sizes differ' if result.patch_sizes_differ else ''
        raise UserError(
            f"checkpoint '{path}' does not fit the backbone: {loaded} fit, {len(result.shapes)} have another shape "
            f'(first: {result.shapes[0]}){hint}; use the config of the same architecture'
        )
    if result.missing:
        raise UserError(
            f"checkpoint '{path}' fills only {loaded} of the backbone; missing: {_some(result.missing)}; use the "
            'config of the same architecture'
        )
    if result.left:
        raise UserError(
            f"checkpoint '{path}' holds {len(result.left)} backbone tensors that the config has no place for: "
            f'{_some(result.left)}; {_way_out(result.left)}'
        )
    module.load_state_dict(module.state_dict() | result.state, strict=True)
    return f"loaded {loaded} from '{path}' ({found.place or 'top level'}, {found.family.title})"


def _way_out(left: list[str]) -> str:
    settings = [key for part, key in SETTINGS.items() if any(part in name for name in left)]
    if settings and all(any(part in name for part in SETTINGS) for name in left):
        return 'set ' + ' and '.join(f'model.backbone.{key}' for key in settings)
    return 'use the config of the same architecture'


def _some(names: list[str]) -> str:
    return ', '.join(names[:3]) + (f' and {len(names) - 3} more' if len(names) > 3 else '')


@WEIGHT_INITIALIZERS.register_module()
class PretrainedBackbone:
    """``init_cfg=dict(type='eqssl.PretrainedBackbone', checkpoint=..., branch='teacher')`` of any ViT or ResNet.

    Reads checkpoints of this project and published ones (see :mod:`eqssl.downstream.key_maps`), as data only. Position
    embeddings are resized. A tensor that is missing, of another shape, or left over stops the run; mmengine's
    ``Pretrained`` would go on with random weights.

    Args:
        checkpoint: path.
        branch: 'teacher', 'student' or None (the teacher where there is one). A file with one plain backbone, as
            published ones are, has no branches.
    """

    def __init__(self, checkpoint: str | None, branch: str | None = None) -> None:
        if not checkpoint:
            raise UserError('init_cfg.checkpoint is not set; give it with --cfg-options checkpoint=FILE')
        if not isinstance(checkpoint, str):
            raise UserError(f'init_cfg.checkpoint={checkpoint!r} is no path')
        if branch not in (None, 'teacher', 'student'):
            raise UserError(f"init_cfg.branch='{branch}' is neither 'teacher' nor 'student'")
        self.checkpoint, self.branch = checkpoint, branch

    def __call__(self, module: nn.Module) -> None:
        """Load, and keep mmengine's and the backbone's own initialization from overwriting what was loaded."""
        loaded = load_backbone(module, self.checkpoint, self.branch)
        print_log(loaded, 'current')
        if hasattr(module, '_params_init_info'):  # mmengine's list in the log file of how each tensor was initialized
            update_init_info(module, init_info=loaded)
        for child in module.modules():
            if child is not module and hasattr(child, '_is_init'):
                child._is_init = True  # type: ignore[assignment]
        # mmpretrain's ViT draws a new position embedding unless its initializer has this very name
        module.init_cfg = {'type': 'Pretrained', 'checkpoint': self.checkpoint}  # type: ignore[assignment]
