"""One writer per format: each writes a file or folder and gives the features of what it reads back from there."""

from __future__ import annotations

import importlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eqssl.downstream.export import Network, check, open_network
from eqssl.downstream.key_maps import HF_DINOV2, HF_VIT, TIMM, TORCHVISION, split_qkv
from eqssl.downstream.pretrained import load_backbone
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError

Features = Callable[[Tensor], Tensor]


def need(package: str, target: str) -> Any:
    """A library.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(f"--to {target} needs the package {package}; pip install '.[export]'") from error


def _refuse_cifar_stem(network: Network, target: str) -> None:
    if not network.is_vit and network.config['type'].rpartition('.')[2] != 'ResNet':
        raise UserError(f'--to {target} knows no {network.config["type"]}; use --to backbone, safetensors or onnx')


def _again(network: Network, path: Path) -> Features:
    module = MODELS.build(dict(network.config))
    load_backbone(module, str(path))
    module.double().eval()
    return Network(module, network.config).features


def to_backbone(network: Network, path: Path) -> Features:
    """``backbone.*`` under mmpretrain's names: for mmpretrain, mmseg and mmdet."""
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in network.state.items()}, 'meta': network.meta}, path)
    return _again(network, path)


def to_safetensors(network: Network, path: Path) -> Features:
    """The same names without prefix, with the metadata in the header."""
    need('safetensors', 'safetensors')
    from safetensors.torch import save_file

    save_file(network.state, str(path), metadata=network.meta)
    return _again(network, path)


def _load(module: nn.Module, path: Path) -> None:
    module.load_state_dict(torch.load(path, weights_only=True)['state_dict'], strict=True)
    module.double().eval()


def _without_registers(tokens: Tensor, network: Network) -> Tensor:
    """``[B, 1 + R + N, D]`` to ``[B, 1 + N, D]``."""
    return torch.cat([tokens[:, :1], tokens[:, 1 + network.module.num_registers :]], dim=1)


def to_timm(network: Network, path: Path) -> Features:
    """timm's VisionTransformer (``num_classes=0``) or ResNet.

    With registers the class token's position goes into the token itself, as timm stores DINOv2 (``no_embed_class``).
    """
    timm = need('timm', 'timm')
    _refuse_cifar_stem(network, 'timm')
    if network.is_vit:
        state, vit = network.renamed(TIMM, 'timm'), network.module
        module = timm.models.VisionTransformer(
            img_size=vit.img_size[0],
            patch_size=vit.patch_size,
            embed_dim=vit.embed_dims,
            depth=vit.num_layers,
            num_heads=vit.arch_settings['num_heads'],
            mlp_ratio=vit.arch_settings['feedforward_channels'] / vit.embed_dims,
            init_values=1.0 if network.layer_scale else None,
            num_classes=0,
            reg_tokens=vit.num_registers,
            no_embed_class=vit.num_registers > 0,
        )
        if vit.num_registers:
            state['cls_token'] = state['cls_token'] + state['pos_embed'][:, :1]
            state['pos_embed'] = state['pos_embed'][:, 1:].clone()
    else:
        state = network.state
        module = timm.create_model(f'resnet{network.config["depth"]}', num_classes=0)
    torch.save({'state_dict': state, 'meta': network.meta}, path)
    _load(module, path)
    if network.is_vit:
        return lambda images: _without_registers(module.forward_features(images), network)
    return module.forward_features


def to_torchvision(network: Network, path: Path) -> Features:
    """torchvision's VisionTransformer (without head) or ResNet (``fc`` replaced by identity)."""
    import torchvision

    _refuse_cifar_stem(network, 'torchvision')
    if not network.is_vit:
        module = getattr(torchvision.models, f'resnet{network.config["depth"]}')()
        module.fc = nn.Identity()
        torch.save({'state_dict': network.state, 'meta': network.meta}, path)
        _load(module, path)
        return nn.Sequential(*list(module.children())[:-2])
    vit = network.module
    torch.save({'state_dict': network.renamed(TORCHVISION, 'torchvision'), 'meta': network.meta}, path)
    module = torchvision.models.VisionTransformer(
        vit.img_size[0],
        vit.patch_size,
        vit.num_layers,
        vit.arch_settings['num_heads'],
        vit.embed_dims,
        vit.arch_settings['feedforward_channels'],
    )
    module.heads = nn.Identity()
    _load(module, path)

    def features(images: Tensor) -> Tensor:
        tokens = module._process_input(images)
        return module.encoder(torch.cat([module.class_token.expand(len(tokens), -1, -1), tokens], dim=1))

    return features


def to_hf(network: Network, path: Path) -> Features:
    """A folder for ``transformers``: ViTModel, or Dinov2Model where blocks are scaled (with registers if need be)."""
    transformers = need('transformers', 'hf')
    need('safetensors', 'hf')
    from safetensors.torch import save_file

    if not network.is_vit:
        raise UserError('--to hf is for ViTs; use --to timm or torchvision for a ResNet')
    vit = network.module
    sizes = {
        'hidden_size': vit.embed_dims,
        'num_hidden_layers': vit.num_layers,
        'num_attention_heads': vit.arch_settings['num_heads'],
        'image_size': vit.img_size[0],
        'patch_size': vit.patch_size,
        'layer_norm_eps': 1e-6,
    }
    hidden = vit.arch_settings['feedforward_channels']
    if network.layer_scale:
        if hidden % vit.embed_dims:
            raise UserError(f'--to hf: feedforward_channels={hidden} is no multiple of {vit.embed_dims}; use --to timm')
        name = 'Dinov2WithRegisters' if vit.num_registers else 'Dinov2'
        registers = {'num_register_tokens': vit.num_registers} if vit.num_registers else {}
        config = getattr(transformers, f'{name}Config')(mlp_ratio=hidden // vit.embed_dims, **registers, **sizes)
        kind, pairs, options = getattr(transformers, f'{name}Model'), HF_DINOV2, {}
    else:
        config = transformers.ViTConfig(intermediate_size=hidden, **sizes)
        kind, pairs, options = transformers.ViTModel, HF_VIT, {'add_pooling_layer': False}
    state = split_qkv(network.renamed(pairs, 'hf'))
    if network.layer_scale:
        state['embeddings.mask_token'] = torch.zeros(1, vit.embed_dims)
    path.mkdir(parents=True)
    config.architectures = [kind.__name__]
    config.save_pretrained(path)
    save_file(state, str(path / 'model.safetensors'), metadata={'format': 'pt', **network.meta})
    mean, std = (json.loads(network.meta[k].replace('(', '[').replace(')', ']')) for k in ('mean', 'std'))
    transformers.ViTImageProcessor(
        size={'height': vit.img_size[0], 'width': vit.img_size[0]}, image_mean=mean, image_std=std
    ).save_pretrained(path)
    module, report = kind.from_pretrained(path, output_loading_info=True, **options)
    if any(report.values()):
        raise UserError(f'--to hf: transformers did not load everything: {report}')
    module.double().eval()
    return lambda images: _without_registers(module(images).last_hidden_state, network)


class _Features(nn.Module):
    """A module whose forward gives the features."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module, self.network = network.module, network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.features(images)


def to_onnx(network: Network, path: Path) -> Features:
    """A graph from normalized images ``[B, 3, S, S]`` (any B) to features; read back with onnxruntime."""
    need('onnxscript', 'onnx')
    runtime, onnx = need('onnxruntime', 'onnx'), need('onnx', 'onnx')
    images = torch.rand(3, 3, network.side, network.side)  # another batch than the check's
    torch.onnx.export(
        _Features(network).eval(),
        (images,),
        str(path),
        input_names=['images'],
        output_names=['features'],
        dynamic_shapes={'images': {0: torch.export.Dim('batch', min=1)}},
        external_data=False,
        verbose=False,
    )
    model = onnx.load(str(path))
    for key, value in network.meta.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda images: torch.from_numpy(session.run(None, {'images': images.float().numpy()})[0]).double()


FORMATS: dict[str, tuple[str, Callable[[Network, Path], Features]]] = {
    'backbone': ('.pth', to_backbone),
    'timm': ('.pth', to_timm),
    'torchvision': ('.pth', to_torchvision),
    'hf': ('', to_hf),
    'onnx': ('.onnx', to_onnx),
    'safetensors': ('.safetensors', to_safetensors),
}


def export(checkpoint: str, target: str, folder: Path, branch: str | None = None, name: str | None = None) -> Path:
    """Write a backbone in a format, read it back and compare its features.

    Args:
        checkpoint: of this project.
        target: one of :data:`FORMATS`.
        folder: where the result goes.
        branch: 'teacher', 'student' or None (the teacher where there is one).
        name: first part of the name; default the checkpoint's folder.

    Returns:
        ``<folder>/<name>_<target>_<date>-<hash8><suffix>``; it is there only if the comparison succeeded.

    Raises:
        UserError: the format does not fit the network, a package is missing, or the features differ.
    """
    suffix, write = FORMATS[target]
    network = open_network(checkpoint, branch)
    stem = network.stem(f'{name or Path(checkpoint).resolve().parent.name}_{target}')
    path = folder / f'{stem}{suffix}'
    staged = folder / f'.{stem}.{os.getpid()}{suffix}'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove(staged)
        staged.mkdir()
        staged.rmdir()
    except OSError as error:
        raise UserError(f"--out '{folder}' is not a folder that can be written to ({error.strerror})") from error
    try:
        difference = check(network, write(network, staged), target)
        if staged.is_dir():
            _remove(path)  # a folder cannot be replaced in one step
        os.replace(staged, path)
    except (RuntimeError, OSError) as error:  # a library's strict loading; a full disk
        raise UserError(f'--to {target}: {(str(error) or type(error).__name__).splitlines()[0]}') from error
    finally:
        _remove(staged)
    print(f'{path}: {network.meta["branch"]}, features read back differ by {difference:.1e}')
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
