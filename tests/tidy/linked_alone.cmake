# Links each folder's library alone: all of its objects, and of the rest only what it declares.
# A symbol that it takes from a folder it does not name is then an undefined symbol here, not a
# surprise in the next program. The empty program also runs, so static initialisation is covered.

# penstock_linked_alone_folder(<folder> <main.cpp>)
# Makes linked_alone_<library> and its test for every static library below the folder.
function(penstock_linked_alone_folder folder main)
  get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(kind ${target} TYPE)
    if(kind STREQUAL "STATIC_LIBRARY" AND target MATCHES "^penstock_(.+)$")
      set(program linked_alone_${CMAKE_MATCH_1})
      add_executable(${program} ${main})
      target_link_libraries(${program} PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,${target}>)
      add_test(NAME ${program} COMMAND ${program})
      set_tests_properties(${program} PROPERTIES TIMEOUT 60)
    endif()
  endforeach()
  get_property(subfolders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(subfolder IN LISTS subfolders)
    penstock_linked_alone_folder(${subfolder} ${main})
  endforeach()
endfunction()
