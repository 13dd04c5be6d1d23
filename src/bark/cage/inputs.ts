/** What makes and package managers run without being told its name. */
export const READ_BY_NAME: readonly string[] = [
  "Makefile",
  "makefile",
  "GNUmakefile",
  "package.json",
  "Cargo.toml",
  "build.rs",
  "setup.py",
  "pyproject.toml",
  "CMakeLists.txt",
  "justfile",
];
