"""
A notebook without a browser: cells run in a kernel of its own, and what they print is told.

``run(code)`` gives what the cell printed, or the name of what it raised. ``run_until_interrupted``
presses Stop once the cell has printed something.
"""

import time

from jupyter_client.manager import start_new_kernel

PATIENCE = 20


class Notebook:
    def __enter__(self):
        self.manager, self.client = start_new_kernel(startup_timeout=PATIENCE)
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def run(self, code, printed=lambda: None):
        """``printed`` is called at the first output."""
        said = []
        number = self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            content = message["content"]
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["msg_type"] == "stream":
                said.append(content["text"])
                if len(said) == 1:
                    printed()
            elif message["msg_type"] == "error":
                said.append(content["ename"])
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(said)

    def run_until_interrupted(self, code):
        """What the cell printed, and the seconds from Stop to the cell's end."""
        pressed = []

        def press():
            pressed.append(time.monotonic())
            self.manager.interrupt_kernel()

        said = self.run(code, press)
        return said, time.monotonic() - pressed[0]
