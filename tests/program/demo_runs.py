"""`penstock demo`: the visible run ends well, on a pipe as on a terminal."""

import harness


class Demo(harness.ProgramTest):

    def test_the_demo_balances_and_exits_with_0(self):
        done = self.ground.run("demo", "--fast", environment={"TMPDIR": str(self.ground.path)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        text = done.stdout.lower()
        for word in ("fulfilled", "declined", "cancelled", "429", "kill -9", "balance"):
            self.assertIn(word, text)
        self.assertNotIn("\x1b[", done.stdout, "no colours where nobody sees them")
        self.assertEqual(list(self.ground.path.iterdir()), [], "nothing is left behind")
        print(f"{len(done.stdout.splitlines())} lines of demo")


if __name__ == "__main__":
    harness.main()
