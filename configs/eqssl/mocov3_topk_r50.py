# reproduces: rescuing easy samples on MoCo v3, ResNet-50, ImageNet-1k (Wang et al., VISAPP 2025; k, weight and policy are not
#             public: 10 %, 0.5)
# cost:       67.2 GFLOP per image (tools/analysis/profile_step.py)
# command:    tools/dist_train.sh configs/eqssl/mocov3_topk_r50.py 32
# expected:   more than mocov3_r50.py (68.9); the abstract says consistently better linear top-1
# measured:   not run to the end by us
_base_ = ['mocov3_r50.py']
model = dict(auxiliary=dict(topk=dict(type='eqssl.AdaptiveTopK', weight=0.5, share=0.1, strength=dict(start=1.0, begin=10))))
custom_hooks = [dict(type='eqssl.AdaptiveTopKHook', picture_interval=5000)]
