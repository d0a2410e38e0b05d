"""Keys about several processes."""

from __future__ import annotations

import os
from typing import Any

import torch
from mmengine.config import Config


def distributed_wrapper() -> dict[str, Any]:
    """mmengine's wrapper for this rank's device; its own default asks for a GPU."""
    device_ids = [int(os.environ.get('LOCAL_RANK', 0))] if torch.cuda.is_available() else None
    return {'type': 'MMDistributedDataParallel', 'device_ids': device_ids, 'broadcast_buffers': False}


def launch_timeout(cfg: Config) -> float:
    """Seconds that ranks wait for each other: ``env_cfg.dist_cfg.timeout``."""
    return float((cfg.get('env_cfg') or {}).get('dist_cfg', {}).get('timeout', 1800))
