"""
The Celery application of the tests: hosted_app's client and its streams, in tasks.

Its broker is a folder, so that no server is needed.
"""

import os
from pathlib import Path

from celery import Celery
from hosted_app import ask, inherited

FOLDER = Path.cwd()

app = Celery("hosted", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{FOLDER}/queue",
    "data_folder_out": f"{FOLDER}/queue",
    "control_folder": f"{FOLDER}/control",
    "polling_interval": 0.05,
}
app.conf.broker_connection_retry_on_startup = True


@app.task
def text(mode):
    return os.getpid(), ask(mode).result().text


@app.task
def before():
    return inherited()


@app.task(soft_time_limit=1)
def too_long(mode):
    return ask(mode, "hang").result().text
