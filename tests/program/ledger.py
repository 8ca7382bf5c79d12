"""Reads what a gateway process kept by itself, independently of the server's store."""

import json
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Movements:
    """An order's money, from the ledger."""
    captures: list = field(default_factory=list)
    refunds: list = field(default_factory=list)

    @property
    def net(self):
        return (sum(line["minor_units"] for line in self.captures) -
                sum(line["minor_units"] for line in self.refunds))


def read_lines(path):
    """The whole lines of a ledger; a torn last one does not count."""
    text = path.read_text()
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


def read_ledger(path):
    """Movements by order id; an order that is not there moved nothing."""
    orders = defaultdict(Movements)
    for line in read_lines(path):
        side = {"capture": "captures", "refund": "refunds"}[line["type"]]
        getattr(orders[line["order_id"]], side).append(line)
    return orders


def assert_money(case, order, movements):
    """The gateway's side of semantics 6 (6, 7, 8, 9) for an ended order."""
    where = f"order {order}, ledger {movements}"
    total, currency = order["total"]["minor_units"], order["total"]["currency"]
    case.assertLessEqual(len(movements.captures), 1, where)
    case.assertIn(movements.net, (0, total), where)
    for line in movements.captures + movements.refunds:
        case.assertEqual((line["minor_units"], line["currency"]), (total, currency), where)
    if order["status"] == "fulfilled":
        case.assertEqual(movements.net, total, where)
        case.assertEqual(len(movements.captures), 1 if total else 0, where)
    else:
        case.assertEqual(movements.net, 0, where)
    if order["status"] == "rejected":
        case.assertEqual(movements.captures, [], where)
