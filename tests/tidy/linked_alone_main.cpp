// The program around one library that is linked alone; see linked_alone.cmake.
int main() {
  return 0;
}
