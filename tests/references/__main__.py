"""Write the generated pages: `python -m tests.references`, which is `make docs`."""

from tests.references import pages

for file, text in pages().items():
    file.write_text(text)
