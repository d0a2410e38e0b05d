"""The data preprocessor: uint8 crops on the host to :class:`Views` on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from eqssl.augment.crops import DeviceImages
from eqssl.augment.photometric import apply_photometrics
from eqssl.registry import MODELS
from eqssl.structures import Masks, Views
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

ViewTransform = Callable[[Views], None]


@MODELS.register_module()
class ViewAugmenter(BaseDataPreprocessor):
    """Moves a batch to the device, applies photometrics, the tasks' view transforms, and normalizes.

    Auxiliary tasks that change or add views register a view transform: it sees the views in [0, 1] after the base
    method's photometrics and before normalization (the paper's g acts on u = A2(I)).

    Args:
        mean, std: per channel, of images in [0, 1].
        max_sigma: upper bound of every view's blur sigma.
        non_blocking: asynchronous copy from pinned memory.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        max_sigma: float = 2.0,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if min(std) <= 0:
            raise UserError(f'model.data_preprocessor.std={tuple(std)} must be positive')
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32)[:, None, None], persistent=False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32)[:, None, None], persistent=False)
        self.max_sigma = max_sigma
        self.view_transforms: list[ViewTransform] = []
        self.device_images: DeviceImages | None = None  # set by the loop where the data set cuts no crops itself

    def normalize(self, images: Tensor) -> Tensor:
        """[0, 1] to zero mean, unit variance."""
        return (images - self.mean) / self.std

    def denormalize(self, images: Tensor) -> Tensor:
        """Inverse of :meth:`normalize`, clamped to [0, 1] (pictures)."""
        return (images * self.std + self.mean).clamp(0, 1)

    def images(self, uint8: Tensor) -> Tensor:
        """``[..., H, W, 3]`` uint8 to normalized ``[n, 3, H, W]``, no augmentation (evaluation)."""
        flat = uint8.to(self.device).flatten(0, -4).permute(0, 3, 1, 2)
        return self.normalize(flat.to(torch.float32) / 255)

    @torch.no_grad()
    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Batch of :func:`collate_views` to ``dict(views=Views)``; everything in float32, whatever autocast says."""
        data = {k: v for k, v in data.items() if k != 'unreadable'}
        data = self.cast_data(data)
        with float32_island(self.device):
            views = self._views(data)
            for transform in self.view_transforms:
                transform(views)
            views.crops = {name: self.normalize(crops) for name, crops in views.crops.items()}
            views.targets = {name: self.normalize(target) for name, target in views.targets.items()}
        return {'views': views}

    def _views(self, data: dict[str, Any]) -> Views:
        crops, params = {}, {}
        cut = data.get('crops')
        if cut is None:
            assert self.device_images is not None, 'a data set with cut=device, whose device_images() are not set here'
            cut = self.device_images.crops(data['index'], data['box'])
        for name, raw in cut.items():
            images = raw.flatten(0, 1).permute(0, 3, 1, 2).to(torch.float32).contiguous() / 255
            photo = data['photo'][name]
            crops[name] = apply_photometrics(images, photo.flatten(0, 1), self.max_sigma)
            params[f'photo/{name}'], params[f'box/{name}'] = photo, data['box'][name]
        masks = None
        if 'mask_grid' in data:
            masks = Masks(data['mask_grid'], data['mask_index'], data['mask_weight'])
        return Views(
            crops=crops,
            num_views={name: raw.shape[0] for name, raw in cut.items()},
            batch_size=len(data['index']),
            index=data['index'],
            key=data['key'],
            label=data['label'],
            masks=masks,
            params=params,
            raw=cut,
        )
