"""Fetch a public image set into the cache and print its folder: ``python tools/data/fetch.py cifar10``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('fetch')
