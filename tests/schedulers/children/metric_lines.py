"""Prints metric lines in many shapes, the last one without its end."""

import sys

sys.stdout.write(
    "accuracy=0.1\n"
    "loss: 2.0\n"
    "accuracy=0.2, loss=1.5\r\n"
    "[12:30:01] nothing here\n"
    "epoch 7/10: accuracy=0.7 val/f1=0.6\n"
    '{"step": 8, "accuracy": 8e-1}\n'
    " 10%|#  | loss=9\r 50%|## | loss=8\r100%|###| loss=0.5\n"
    "accuracy = -inf\n"
    "accuracy: 0.9"
)
