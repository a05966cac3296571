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
