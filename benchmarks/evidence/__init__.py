"""What the pages of evidence are made with: parts of a page, and mutants of a source file."""
