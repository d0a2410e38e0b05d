"""What the machine has, and what must be built for it: environment check, mmcv with compiled ops."""
