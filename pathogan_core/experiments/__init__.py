"""Set-ups by chapter, the run store, records and the tables the thesis printed."""
