"""Chapter 5's experiment: synthetic slices that are to help a detector (thesis section 5).

    data -> placing (CPGGAN) -> asking (boxes to be filled) -> filled pools -> arms (YOLOv3)

Every step is a run of the store: made once, by whichever step or process asks for it first.
"""
