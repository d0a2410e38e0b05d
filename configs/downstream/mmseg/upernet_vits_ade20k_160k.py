# reproduces: iBOT's ADE20K fine-tuning, UPerNet, ViT-S/16, 512 px, 160k iterations of 16 images
# cost:       160k iterations of 16 images of 512 px (8 GPUs with 2 images each)
# command:    tools/dist_train.sh configs/downstream/mmseg/upernet_vits_ade20k_160k.py 8 --cfg-options checkpoint=FILE
# expected:   iBOT (AAAI-26, table 6, ViT-L): 52.17 mIoU, with reconstruction 52.38; ViT-S: iBOT's paper 45.4
# measured:   not run by us
_base_ = [
    '../_base_/mmseg_runtime.py',
    '../_base_/upernet_vits.py',
    '../_base_/ade20k.py',
    '../_base_/adamw_layer_decay.py',
]
