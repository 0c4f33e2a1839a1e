"""Measures of generated images: Visual Turing Test, distribution measures, memorisation."""
