"""What type checkers must refuse: each marked line is an error. Never run."""

import polars as pl

import cio_frames as cio

frame = cio.frame(pl.DataFrame({"id": ["u1"]}))
frame.identify("id")  # error: a verb takes keywords only
frame.identify(userid="id")  # error: no such argument
frame.identify(user_id="id", nulls="keep")  # error: neither omit nor send
frame.identfy(user_id="id")  # error: no such verb
cio.backfill([frame])  # error: a frame is no plan
frame.identify(user_id="id").send()  # error: sending needs a client
frame.identify(user_id="id").identity(known="people.csv")  # error: a path is no table
frame.identify(user_id="id").identity(progress="bar")  # error: no such display
cio.frame("people.csv")  # error: a path is no table
cio.suggest(pl.DataFrame({"id": ["u1"]}), "trak")  # error: no such call
cio.sandbox(faults="flakey")  # error: no such faults
cio.sandbox(fault="flaky")  # error: no such argument
cio.connect("de")  # error: neither us nor eu
cio.send("eu")  # error: no such function
