{% extends "parts/tflm_main.cc" %}
