// Linked beside jemalloc, which reads this name of the program's when it starts (jemalloc(3)).

extern "C" {
extern const char* const malloc_conf;
/// Asks the system for pages of 2 MiB: indexes, memory tables and queues are read here and there,
/// and most reads miss what translates addresses of 4 KiB pages (docs/decisions/0033). No effect
/// where the system grants none.
const char* const malloc_conf = "thp:always";
}
