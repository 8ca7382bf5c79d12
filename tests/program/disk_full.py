"""A full disk: a clear end, and nothing that was acknowledged is lost."""

import random
import subprocess

import harness
from harness import TERMINAL, Client, Server, order_body, wait_until
from ledger import assert_money, read_ledger

SMALL, LARGE = "24m", "256m"


class DiskFull(harness.ProgramTest):

    def mount(self, folder):
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "penstock-test",
                               str(folder)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"skipped: no file system can be mounted here: {done.stderr.strip()}")
            self.skipTest(f"mount: {done.stderr.strip()}")
        # Cleanups run last in, first out: before the ground's own.
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=True)

    def test_the_server_ends_with_a_clear_message_and_comes_back_whole(self):
        folder = self.ground.path / "small-disk"
        self.mount(folder)
        gateway = self.ground.gateway()
        flags = ("--gateway", gateway.url, "--memory-budget", "16", "--default-rate", "100000",
                 "--default-burst", "1000000")
        server = Server(self.ground, *flags, data="small-disk/data")
        server.await_ready()
        client = server.client()
        client.set_stock("p", 1_000_000)
        acknowledged, refused = {}, 0
        chance = random.Random(3)  # text that no compression makes small
        body = order_body("p", metadata={f"pad-{n}": chance.randbytes(240).hex()
                                         for n in range(20)})
        for number in range(100_000):
            try:
                reply = client.post("/orders", body, headers={"Idempotency-Key": f"k-{number}"})
            except Client.LOST:
                break
            if reply.status == 202:
                acknowledged[f"k-{number}"] = reply.body
            else:
                # Before the end it may say that it carries less; never that it took the order.
                self.assertEqual(reply.status, 503, reply.body)
                refused += 1
        client.close()
        self.assertTrue(acknowledged)
        self.assertEqual(server.wait(), 1)
        records = [r for r in server.records() if r.get("code") == "disk-full"]
        self.assertTrue(records and records[-1]["level"] == "error", server.log()[-3000:])

        still_full = Server(self.ground, *flags, data="small-disk/data")
        if not self.ends(still_full):
            still_full.kill()
        subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(folder)], check=True)
        server = Server(self.ground, *flags, data="small-disk/data")
        server.await_ready()
        client = server.client()
        ledger_orders = []
        for key, first in acknowledged.items():
            again = client.place(body, headers={"Idempotency-Key": key})
            self.assertEqual(again.body, first, "what was acknowledged is there")
            ledger_orders.append(client.ended(again.json()["order_id"]))
        wait_until(lambda: client.queues()["active"] == 0, "no order is active")
        ledger = read_ledger(gateway.ledger)
        for order in ledger_orders:
            self.assertIn(order["status"], TERMINAL)
            assert_money(self, order, ledger[order["order_id"]])
        stock = client.stock("p")
        self.assertEqual(stock["reserved"], 0)
        self.assertEqual(stock["on_hand"] + stock["sold"], 1_000_000)
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.ground.check(gateway.ledger, data="small-disk/data")
        print(f"{len(acknowledged)} acknowledged before the disk was full, {refused} refused")

    def ends(self, server):
        """Whether a server on the full disk ends by itself, before it has served for a while."""
        try:
            server.await_ready()
        except AssertionError:
            self.assertEqual(server.wait(), 1, server.log())
            return True
        return False


if __name__ == "__main__":
    harness.main()
