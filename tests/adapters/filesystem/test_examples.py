"""Every example of the page about pandas and the others does what it says."""

from pathlib import Path

import fsspec

from support import examples, wire

PAGE = Path(__file__).parents[3] / "docs/how-to/read-with-pandas.md"


async def test_every_example_of_the_page_does_what_it_says(sides, measured, field, monkeypatch):
    folder = sides.provider.folder.parent / "marked"
    folder.mkdir()
    (folder / "parts.csv").write_text("part,quantity\nbody,1\nshaft,2\n")
    sides.publish("marked", folder, policy=wire.constrained("purpose", "isAnyOf", ["repair", "service"]))
    monkeypatch.setenv("COMITY_URL", sides.address)
    monkeypatch.setenv("COMITY_API_KEY", sides.consumer.conf.management_key)
    fsspec.get_filesystem_class("comity").clear_instance_cache()
    await examples.run(PAGE, {})
    fsspec.get_filesystem_class("comity").clear_instance_cache()
