"""The layouts that annotated pictures come in: COCO JSON, Pascal VOC XML and YOLO text."""
