# The parts of the distributed world: a shared database, its clients, nodes, and the world of them.
target_sources(penstock_simulation PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/node_cluster.cpp
  ${CMAKE_CURRENT_LIST_DIR}/node_process.cpp
  ${CMAKE_CURRENT_LIST_DIR}/shared_database.cpp
  ${CMAKE_CURRENT_LIST_DIR}/shared_store.cpp
  ${CMAKE_CURRENT_LIST_DIR}/world_distributed.cpp
  ${CMAKE_CURRENT_LIST_DIR}/world_run.cpp)

include(${PROJECT_SOURCE_DIR}/tests/contract/order_store_contract.cmake)
penstock_test(shared_store_contract_test
  SOURCES
    shared_store_contract_test.cpp
  LIBS penstock_order_store_contract penstock_simulation
  LABELS sanitize)
penstock_test(shared_store_test
  SOURCES
    shared_store_test.cpp
    shared_store_writing_test.cpp
  LIBS penstock_simulation
  LABELS sanitize)
# A test names the one field that it is about.
target_compile_options(shared_store_test PRIVATE -Wno-missing-field-initializers)
penstock_test(world_distributed_test
  SOURCES
    world_distributed_test.cpp
  LIBS penstock_simulation)
target_compile_definitions(world_distributed_test PRIVATE
  PENSTOCK_REGRESSIONS="${CMAKE_CURRENT_LIST_DIR}/regressions/distributed")
