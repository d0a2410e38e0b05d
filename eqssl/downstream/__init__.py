"""The pre-trained backbone in mmseg, mmdet, mmpretrain and beyond."""

from eqssl.downstream.backbone_file import read_backbone
from eqssl.downstream.dense_vit import DenseViT
from eqssl.downstream.feature_pyramid import SimpleFeaturePyramid
from eqssl.downstream.pretrained import PretrainedBackbone, load_backbone

__all__ = ['DenseViT', 'PretrainedBackbone', 'SimpleFeaturePyramid', 'load_backbone', 'read_backbone']
