"""`penstock bench partitions` on a small input: a report, and failure where nothing is pruned."""

import json

import database
import harness

SMALL = ("--months", "3", "--orders-per-month", "300", "--repeats", "3", "--json")


class Partitions(database.SharedTest):

    def bench(self, url):
        return self.ground.run("bench", "partitions", "--store", url, *SMALL)

    def test_each_question_reads_the_partitions_that_it_needs_and_nothing_stays_behind(self):
        done = self.bench(self.url)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["orders"], 900)
        scanned = {query["name"]: query["partitions_scanned"] for query in report["queries"]}
        self.assertEqual(scanned["a month's orders and sums by status"], 1)
        self.assertEqual(scanned["an order by its id"], 1)
        self.assertEqual(scanned["the store's view by id (plan alone)"], 1)
        self.assertGreater(report["dropped"]["bytes_before"], report["dropped"]["bytes_after"])
        self.assertEqual(self.database.query(
            "SELECT count(*) FROM pg_namespace WHERE nspname = 'bench_partitions'"), "0")

    def test_it_fails_where_the_server_does_not_prune(self):
        done = self.bench(self.url + "&options=-c%20enable_partition_pruning%3Doff")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("not pruned: an order by its id", done.stderr)


if __name__ == "__main__":
    harness.main()
