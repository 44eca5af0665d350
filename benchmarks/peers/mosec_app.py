"""
mosec: as many workers as asked for behind its own server; model and body are fields of JSON.
"""

import os

import work
from mosec import Server, Worker

BATCHING = {"max_batch_size": 64, "max_wait_time": 5} if os.environ.get("BATCHING") else {}


class People(Worker):
    def __init__(self):
        self.models = work.Models()

    def forward(self, data):
        if not BATCHING:
            return self.models.answer(data["model"], data["body"])
        return self.models.answer_all(data[0]["model"], [each["body"] for each in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(People, num=int(os.environ["WORKERS"]), **BATCHING)
    server.run()
