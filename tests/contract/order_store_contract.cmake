# The contract suite of the order store, as objects: a store's own test program links
# penstock_order_store_contract and instantiates OrderStoreContract with its factory.
include_guard(GLOBAL)
find_package(GTest REQUIRED)
add_library(penstock_order_store_contract OBJECT
  ${CMAKE_CURRENT_LIST_DIR}/accept_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/bucket_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/claim_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/commit_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/model_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/notification_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/order_store_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/reader_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/recovery_contract.cpp
  ${CMAKE_CURRENT_LIST_DIR}/stock_contract.cpp)
target_include_directories(penstock_order_store_contract PUBLIC
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
target_link_libraries(penstock_order_store_contract PUBLIC
  penstock_ports penstock_domain GTest::gmock GTest::gtest)
# g++ 12 asks for every member without an initialiser of its own even where designated initialisers
# leave them out on purpose, which is how the suite writes its queries.
target_compile_options(penstock_order_store_contract PUBLIC -Wno-missing-field-initializers)
