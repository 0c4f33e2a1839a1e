"""Chapter 4's experiment: synthetic slices that are to help a tumour classifier (thesis section 4).

    data -> drawing (PGGAN) -> pools (drawn, sorted out) -> refining (MUNIT, SimGAN) -> arms

Every step is a run of the store: made once, by whichever step or process asks for it first.
"""
