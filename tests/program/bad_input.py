"""Hostile requests: each gets its own 4xx and changes nothing."""

import contextlib
import json
import random

import harness
from harness import Ground, expect, order_body
from raw import RawConnection, exchange, post
from webhooks import SECRET

HEAD = b"POST /orders HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
VALID = json.dumps(order_body("guarded")).encode()
SMUGGLED = post("/orders", VALID)


def smuggling_forms():
    """Ways to make two readers of the same bytes disagree about where a request ends."""
    n = len(VALID)
    size = f"{n:x}".encode()
    chunk = size + b"\r\n" + VALID + b"\r\n0\r\n\r\n"
    forms = {
        "both lengths": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
        "both, reversed": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % n +
                          VALID,
        "two lengths": HEAD + b"Content-Length: %d\r\nContent-Length: 0\r\n\r\n" % n + VALID,
        "same length twice": HEAD + (b"Content-Length: %d\r\n" % n) * 2 + b"\r\n" + VALID,
        "bare LF": HEAD.replace(b"\r\n", b"\n") + b"Content-Length: %d\n\n" % n + VALID,
        "space before colon": HEAD + b"Content-Length : %d\r\n\r\n" % n + VALID,
        "folded header": HEAD + b"X: a\r\n b\r\nContent-Length: %d\r\n\r\n" % n + VALID,
        "NUL in a header": HEAD + b"X: a\0b\r\nContent-Length: %d\r\n\r\n" % n + VALID,
        "two encodings": HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n" + chunk,
        "encoding in 1.0": b"POST /orders HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
        "no host": b"POST /orders HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % n + VALID,
        "two hosts": HEAD + b"Host: b\r\nContent-Length: %d\r\n\r\n" % n + VALID,
        "HTTP/0.9": b"GET /\r\n\r\n",
        "not HTTP": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
        "LF behind a chunk size": CHUNKED + size + b"\n" + VALID + b"\r\n0\r\n\r\n",
        "signed chunk size": CHUNKED + b"+" + chunk,
        "hex chunk size": CHUNKED + b"0x" + chunk,
        "huge chunk size": CHUNKED + b"f" * 17 + b"\r\n" + VALID + b"\r\n0\r\n\r\n",
        "length in a trailer": CHUNKED + chunk[:-2] + b"Content-Length: 0\r\n\r\n",
    }
    for value in (b"+%d" % n, b"-%d" % n, b"%d,%d" % (n, n), b"0x%x" % n, b"", b"%d.0" % n):
        forms[f"length {value!r}"] = HEAD + b"Content-Length: " + value + b"\r\n\r\n" + VALID
    for value in (b"gzip", b"identity", b"chunked, chunked", b"xchunked", b"chunked;q=1", b"",
                  b"\v"):
        forms[f"encoding {value!r}"] = (HEAD + b"Transfer-Encoding: " + value + b"\r\n\r\n" +
                                        chunk)
    return forms


def malformed_json():
    """Texts that are not one strict JSON object."""
    item = '"items":[{"product_id":"guarded","quantity":1,"price":1}]'
    text = VALID.decode()
    return {
        "nothing": "", "spaces": "   ", "cut off": text[:-1], "two values": text + text,
        "a comment": text[:-1] + ",/*x*/\"a\":1}", "a trailing comma": text[:-1] + ",}",
        "single quotes": text.replace('"', "'"), "not a number": text[:-1] + ',"a":NaN}',
        "infinity": text[:-1] + ',"a":Infinity}', "leading zero": text[:-1] + ',"a":01}',
        "leading plus": text[:-1] + ',"a":+1}', "hex": text[:-1] + ',"a":0x1}',
        "a lone surrogate": text[:-1] + ',"a":"\\ud800"}',
        "an unknown escape": text[:-1] + ',"a":"\\x41"}',
        "a raw control character": text[:-1] + ',"a":"\x01"}',
        "a byte order mark": "\ufeff" + text,
        "a duplicate member": '{"customer_id":"a","customer_id":"b",' + item + "}",
        "the same duplicate": '{"customer_id":"a","customer_id":"a",' + item + "}",
        "a duplicate by escape": '{"customer_id":"a","customer\\u005fid":"b",' + item + "}",
        "a nested duplicate": '{"customer_id":"a","items":[{"product_id":"guarded","quantity":1,'
                              '"quantity":2,"price":1}]}',
        "a duplicate in what is ignored": text[:-1] + ',"x":{"y":1,"y":2}}',
        "too deep": text[:-1] + ',"a":' + "[" * 40 + "]" * 40 + "}",
        "very deep": "[" * 100_000,
        "deep objects": '{"a":' * 5_000 + "1" + "}" * 5_000,
        "an exponent beyond reading": text.replace('"10.00"', "1e99999999999999999999"),
    }


def broken_rules():
    """(what, body, pointer of the error): each is the valid order with one thing changed."""
    def item(**change):
        body = order_body("guarded")
        for name, value in change.items():
            body["items"][0][name] = value
        return body

    def without(name):
        body = order_body("guarded")
        del body[name]
        return body
    rows = [("no items", without("items"), "/items"), ("no customer", without("customer_id"),
                                                       "/customer_id")]
    for value in ([], None, {}, "x", 3):
        rows.append((f"items {value!r}", order_body(items=value), "/items"))
    rows += [("101 items", order_body(items=order_body("guarded")["items"] * 101), "/items"),
             ("an item that is none", order_body(items=[1]), "/items/0"),
             ("a second bad item", order_body(items=order_body("guarded")["items"] + [{}]),
              "/items/1/product_id")]
    for value in (0, -1, 1_000_001, 1.5, "1", None, True, 10**30, [1]):
        rows.append((f"quantity {value!r}", item(quantity=value), "/items/0/quantity"))
    for value in ("", "-1", -1, "1.001", 1.001, "abc", "1,5", " 1", "1 ", "+1", "0x1", ".5", "1.",
                  "01", "1e", "NaN", "Infinity", "1e400", 10**40, None, True, [], {}):
        rows.append((f"price {value!r}", item(price=value), "/items/0/price"))
    for value in ("", "a b", "ä", "x" * 129, "a/b", "a\u0000b", None, 7, [], {}):
        rows.append((f"product {value!r}", item(product_id=value), "/items/0/product_id"))
        rows.append((f"customer {value!r}", order_body("guarded", customer_id=value),
                     "/customer_id"))
        if value is not None:
            rows.append((f"tenant {value!r}", order_body("guarded", tenant_id=value),
                         "/tenant_id"))
    for value in ("usd", "US", "USDX", "XTS", "ABC", "", 840, [], "U$D"):
        rows.append((f"currency {value!r}", order_body("guarded", currency=value), "/currency"))
    rows.append(("digits that JPY has not", order_body("guarded", price="1.5", currency="JPY"),
                 "/items/0/price"))
    for value in ("", "x" * 129, "pm ok", "pm\u0000", 7, []):
        rows.append((f"method {value!r}", order_body("guarded", payment={"method": value}),
                     "/payment/method"))
    for value in ("pm_ok", [], 7):
        rows.append((f"payment {value!r}", order_body("guarded", payment=value), "/payment"))
    for value in ([], "x", {"a": 1}, {"a": None}, {"a": {}}, {"a": "x" * 501}, {"x" * 501: "a"},
                  {str(i): "a" for i in range(21)}):
        pointer = "/metadata/a" if list(value)[:1] == ["a"] else "/metadata"
        rows.append((f"metadata {str(value)[:30]}", order_body("guarded", metadata=value),
                     pointer))
    rows.append(("a total beyond the limit", order_body("guarded", 1_000_000, "9999999999.99"),
                 "/items"))
    for value in ("", "refund", 7, []):
        rows.append((f"action {value!r}", order_body("guarded", action=value), "/action"))
    return rows


class BadInput(harness.ProgramTest):
    """One server; its state is compared before and after every table."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Ground()
        cls.addClassCleanup(cls.shared.close)
        cls.server = cls.shared.server()
        client = cls.server.client()
        client.set_stock("guarded", 1000)
        cls.fulfilled = client.ended(
            client.place(order_body("guarded", idempotency_key="taken")).json()["order_id"])
        client.close()

    def setUp(self):
        super().setUp()
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.before = self.state()
        self.tried = 0

    def tearDown(self):
        self.assertTrue(self.server.running())
        self.assertEqual(self.state(), self.before, "a refused request changed something")
        print(f"{self.tried} bad requests")

    def state(self):
        queues = self.client.queues()
        return {"active": queues["active"], "ended": queues["ended"],
                "accepts": {k: v for k, v in queues["accepts"].items()
                            if k in ("accepted", "replayed")},
                "stock": self.client.stock("guarded"),
                "tenants": self.client.pages("/tenants", "tenants"),
                "orders": self.client.pages("/orders?limit=500", "orders"),
                "order": self.client.order(self.fulfilled["order_id"])}

    def refused(self, reply, status, code):
        """The reply, which must be that problem in full."""
        self.tried += 1
        self.assertIsNotNone(reply, "the connection ended without an answer")
        self.assertEqual((reply.status, reply.code), (status, code), reply.body)
        problem = reply.json()
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["type"].endswith(code) and problem["title"], problem)
        return reply

    def one(self, data, status, code):
        """The server's only answer to these bytes, after which it closes."""
        replies = exchange(self.server.address(), data)
        self.assertEqual(len(replies), 1, [(r.status, r.body) for r in replies])
        return self.refused(replies[0], status, code)

    def test_a_smuggling_form_is_400_and_what_follows_it_is_never_read_as_a_request(self):
        for what, data in smuggling_forms().items():
            with self.subTest(what):
                self.one(data + SMUGGLED, 400, "bad-request")

    def test_another_http_version_is_505(self):
        self.one(b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "http-version")
        self.one(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version")

    def test_what_is_no_strict_json_is_400(self):
        for what, text in malformed_json().items():
            with self.subTest(what):
                self.refused(self.client.post("/orders", text.encode("utf-8", "surrogatepass"),
                                              headers={"Content-Type": "application/json"}),
                             400, "malformed-json")
        for what, data in {"invalid UTF-8": VALID[:-1] + b',"a":"\xff"}',
                           "an overlong form": VALID[:-1] + b',"a":"\xc0\xaf"}',
                           "a surrogate in UTF-8": VALID[:-1] + b',"a":"\xed\xa0\x80"}',
                           "UTF-16": VALID.decode().encode("utf-16")}.items():
            with self.subTest(what):
                self.refused(self.client.post("/orders", data), 400, "malformed-json")

    def test_json_that_is_no_object_is_422(self):
        for text in ("[]", "1", '"x"', "null", "true", "-0.5e1"):
            with self.subTest(text):
                self.refused(self.client.post("/orders", text), 422, "invalid-order")

    def test_every_broken_rule_is_422_and_names_its_field(self):
        for what, body, pointer in broken_rules():
            with self.subTest(what):
                reply = self.refused(self.client.post("/orders", body), 422, "invalid-order")
                self.assertIn(pointer, [e["pointer"] for e in reply.json()["errors"]])

    def test_all_broken_rules_are_told_at_once(self):
        body = order_body("bad product", 0, "-1", customer_id="", currency="nope")
        reply = self.refused(self.client.post("/orders", body), 422, "invalid-order")
        self.assertLessEqual({"/customer_id", "/currency", "/items/0/product_id",
                              "/items/0/quantity"},
                             {e["pointer"] for e in reply.json()["errors"]})

    def test_a_bad_idempotency_key_is_400(self):
        for key in ("", '"', '"a', "a" * 256, '"' + "a" * 256 + '"', '"a"b', '"a\\x"', "ä",
                    "a\tb"):
            with self.subTest(header=key):
                data = post("/orders", VALID, "Idempotency-Key: " + key, "Connection: close")
                self.one(data, 400, "idempotency-key-invalid")
        for key in ("", "a" * 256, "ä", "a\nb"):
            with self.subTest(body=key):
                self.refused(self.client.post("/orders", order_body(idempotency_key=key)), 400,
                             "idempotency-key-invalid")
        self.refused(self.client.post("/orders", order_body(idempotency_key="one"),
                                      headers={"Idempotency-Key": "two"}),
                     400, "idempotency-key-conflict")
        data = post("/orders", VALID, "Idempotency-Key: a", "Idempotency-Key: a",
                    "Connection: close")
        self.one(data, 400, "idempotency-key-invalid")

    def test_a_used_key_with_another_payload_is_422(self):
        for body in (order_body("guarded", 2), order_body("guarded", price="10.01"),
                     order_body("guarded", metadata={"a": "b"})):
            self.refused(self.client.post("/orders", body, headers={"Idempotency-Key": "taken"}),
                         422, "idempotency-key-reused")

    def test_another_content_type_is_415(self):
        for value in ("text/plain", "application/xml", "application/jsonx", "multipart/form-data",
                      "application/x-www-form-urlencoded", "json", "application/json, text/plain"):
            with self.subTest(value):
                self.refused(self.client.post("/orders", VALID, headers={"Content-Type": value}),
                             415, "unsupported-media-type")

    def test_unknown_ids_are_404_and_look_the_same(self):
        seen = set()
        for order_id in ("x", "0", "..", "%00", "%", "a" * 500, "%2e%2e%2fetc",
                         self.fulfilled["order_id"][:-1], self.fulfilled["order_id"] + "0",
                         "01893e2d-0000-4000-8000-000000000000",
                         "01893e2d-0000-7000-8000-000000000000"):
            for method, suffix in (("GET", ""), ("GET", "/events"), ("GET", "/receipt"),
                                   ("GET", "/why"), ("POST", "/cancel")):
                with self.subTest(order_id=order_id, suffix=suffix):
                    path = f"/orders/{order_id}{suffix}"
                    data = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" \
                           f"Content-Length: 0\r\n\r\n".encode()
                    if order_id == "%":
                        self.one(data, 400, "bad-request")
                        continue
                    problem = self.one(data, 404, "not-found").json()
                    seen.add((problem["title"], problem["detail"]))
        self.assertEqual(len(seen), 1, seen)
        self.refused(self.client.post(
            "/dead-letters/01893e2d-0000-7000-8000-000000000000/discard"), 404, "not-found")
        self.refused(self.client.post(f"/dead-letters/{self.fulfilled['order_id']}/discard"), 409,
                     "not-a-dead-letter")

    def test_query_parameters_are_strict(self):
        for path in ("/orders?limit=0", "/orders?limit=501", "/orders?limit=x", "/orders?limit=",
                     "/orders?limit=1&limit=2", "/orders?status=lost", "/orders?status=",
                     "/orders?created_from=yesterday", "/orders?created_to=2026-13-01T00:00:00Z",
                     "/orders?unknown=1", "/orders?tenant_id=a%20b", "/orders?tenant_id=",
                     "/dead-letters?stage=x", "/dead-letters?error=nonsense",
                     "/dead-letters?limit=-1",
                     "/queues?x=1", "/tenants?limit=1e2",
                     f"/orders/{self.fulfilled['order_id']}?wait=31",
                     f"/orders/{self.fulfilled['order_id']}?wait=-1",
                     f"/orders/{self.fulfilled['order_id']}?wait=x"):
            with self.subTest(path):
                self.refused(self.client.get(path), 400, "invalid-parameter")

    def test_a_cursor_that_was_not_issued_is_400(self):
        cursors = ["x", "AAAA", "a" * 2000, "%00", "%25", "=", "AQEAAAAAAAAAAAAAAAAAAAAA"]
        for path in ("/orders", "/dead-letters", "/owed-refunds", "/tenants"):
            for cursor in cursors:
                with self.subTest(path=path, cursor=cursor[:20]):
                    self.refused(self.client.get(f"{path}?cursor={cursor}"), 400,
                                 "invalid-cursor")

    def test_routes_and_methods_that_do_not_exist(self):
        for path in ("/nowhere", "/orders/", "//orders", "/Orders", "/orders/a/b/c"):
            with self.subTest(path):
                self.refused(self.client.get(path), 404, "not-found")
        for method, path in (("DELETE", "/orders"), ("PUT", "/orders"), ("POST", "/queues"),
                             ("PATCH", "/tenants/a"), ("GET", "/dead-letters/redrive"),
                             ("BREW", "/orders")):
            with self.subTest(method=method, path=path):
                reply = self.refused(self.client.request(method, path), 405, "method-not-allowed")
                self.assertTrue(reply.headers.get("allow"))

    def test_bad_operations_are_422_and_change_nothing(self):
        def refused(method, path, body, code="invalid-body"):
            with self.subTest(path=path, body=body):
                self.refused(self.client.request(method, path, body), 422, code)
        for value in (-1, 10**13, "5", 1.5, None, True, [], 10**30):
            refused("PUT", "/inventory/guarded", {"on_hand": value})
            refused("POST", "/inventory/guarded/restock", {"quantity": value})
        refused("PUT", "/inventory/guarded", {"on_hand": 5, "tenantid": "a"})
        refused("PUT", "/inventory/guarded", {})
        refused("PUT", "/inventory/guarded", [])
        refused("POST", "/inventory/guarded/restock", {"quantity": 0})
        good = {"rate_per_second": 10, "burst": 10}
        for change in ({"rate_per_second": 0}, {"rate_per_second": -1}, {"rate_per_second": "x"},
                       {"rate_per_second": 1_000_001}, {"rate_per_second": None}, {"burst": 0},
                       {"burst": -5}, {"burst": 10**12}, {"burst": 1.5}, {"burst": None},
                       {"guarantee_per_second": 11}, {"guarantee_per_second": -1},
                       {"weight": 0}, {"weight": 1001}, {"webhook": {"url": "https://a.example/"}},
                       {"webhook": {"url": "ftp://a/", "secret": SECRET}},
                       {"webhook": {"url": "no url", "secret": SECRET}},
                       {"webhook": {"url": "http://127.0.0.1/", "secret": SECRET}},
                       {"webhook": {"url": "https://a.example/", "secret": ""}},
                       {"webhook": {"url": "https://a.example/", "secret": "bare text"}},
                       {"webhook": {"url": "https://a.example/", "secret": "whsec_c2hvcnQ="}},
                       {"webhook": {"url": "https://a.example/", "secret": SECRET.rstrip("=")}},
                       {"webhook": "https://a.example/"}, {"wieght": 2}):
            refused("PUT", "/tenants/attempted", {**good, **change}, "invalid-contract")
        for body in ({"order_ids": ["x"]}, {"order_ids": "x"}, {"stage": "nowhere"},
                     {"error": "nonsense"}, {"tenant_id": "a b"}, {"rate_per_second": 0},
                     {"order_ids": [], "stage": "payment"}, {}, {"eror": "declined"},
                     {"order_ids": None}, {"order_ids": []}, {"all": False}):
            refused("POST", "/dead-letters/redrive", body)

    def test_a_head_that_is_too_large_is_431(self):
        self.one(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431,
                 "header-too-large")
        self.one(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431,
                 "header-too-large")
        self.one(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 2000 + b"\r\n", 431,
                 "header-too-large")

    def test_a_body_that_is_too_large_is_413(self):
        padding = b'{"a":"' + b"x" * (256 * 1024) + b'"}'
        self.one(post("/orders", padding), 413, "body-too-large")
        self.one(post("/orders", b"", length=10**12), 413, "body-too-large")
        self.one(post("/orders", b"", length="9" * 40), 413, "body-too-large")
        self.one(CHUNKED + b"".join(b"1000\r\n" + b"x" * 4096 + b"\r\n" for _ in range(80)) +
                 b"0\r\n\r\n", 413, "body-too-large")
        self.one(HEAD + b"Expect: 100-continue\r\nContent-Length: 400000\r\n\r\n", 413,
                 "body-too-large")

    def test_the_largest_body_is_still_read(self):
        # Legal, but for its metadata: the answer is about the order, not about its size.
        text = json.dumps(order_body("guarded", metadata={"a": "x" * 200_000}))
        text += " " * (256 * 1024 - len(text))
        self.refused(self.client.post("/orders", text), 422, "invalid-order")

    def test_a_client_that_stops_in_the_middle_gets_408_and_holds_up_nobody(self):
        connections = [RawConnection(self.server.address()) for _ in range(20)]
        try:
            for number, connection in enumerate(connections):
                half = SMUGGLED[:20] if number % 2 else SMUGGLED[:-10]
                connection.send(half)
            expect(self.client.get("/healthz"), 200)
            # Those inside the head time out first; those inside the body have more time.
            self.refused(connections[1].reply(), 408, "request-timeout")
            self.refused(connections[0].reply(), 408, "request-timeout")
        finally:
            for connection in connections:
                connection.close()

    def test_a_client_that_leaves_in_the_middle_of_a_body_places_nothing(self):
        for cut in (1, 10, len(VALID) - 1):
            with contextlib.closing(RawConnection(self.server.address())) as connection:
                connection.send(SMUGGLED[:-cut])
            self.tried += 1
        expect(self.client.get("/healthz"), 200)

    def test_pipelined_requests_are_answered_in_order_and_a_bad_one_ends_the_line(self):
        get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        missing = b"GET /orders/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
        replies = exchange(self.server.address(),
                           (get + missing) * 100 + b"bro ken\r\n\r\n" + SMUGGLED)
        self.assertEqual([r.status for r in replies], [200, 404] * 100 + [400])
        self.tried += 101

    def test_one_byte_at_a_time_is_the_same_request(self):
        with contextlib.closing(RawConnection(self.server.address())) as connection:
            data = post("/orders", b'{"customer_id":"a"}', "Connection: close")
            for byte in data:
                connection.send(bytes([byte]))
            self.refused(connection.reply(), 422, "invalid-order")

    def test_random_bytes_are_refused_and_the_server_lives(self):

        chance = random.Random(7)
        for _ in range(200):
            data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 400)))
            for reply in exchange(self.server.address(), data + b"\r\n\r\n", half_close=True):
                self.assertTrue(400 <= reply.status < 500 or reply.status == 505, reply)
            self.tried += 1

    def test_damaged_valid_requests_never_make_a_5xx(self):

        chance = random.Random(8)
        # Of an order for nothing that exists, so that a damage which leaves it legal shows nothing.
        body = json.dumps(order_body("guarded", customer_id="")).encode()
        for _ in range(500):
            data = bytearray(post("/orders", body, "Connection: close"))
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            for reply in exchange(self.server.address(), bytes(data), half_close=True):
                self.assertTrue(400 <= reply.status < 500 or reply.status == 505, reply)
            self.tried += 1


if __name__ == "__main__":
    harness.main()
