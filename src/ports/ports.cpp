#include "ports/clock.h"
#include "ports/fulfiller.h"
#include "ports/log.h"
#include "ports/notifier.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"
#include "ports/payment_gateway.h"
#include "ports/random.h"
#include "ports/receipt_store.h"

// Contracts only: this file proves that each header stands alone with its folder.
