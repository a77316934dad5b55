"""The tutorials show the examples' own files, word by word."""
import pathlib
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = {  # page -> files; of a file perhaps only a part: what is from one line's beginning up to another's
    "cart": [("cart/cart.py",), ("cart/classes.yaml",), ("cart/server.py", "def ask(", "class Handler")],
    "desk": [("desk/classes.yaml",), ("desk/desk.py", "class Worker", "async def read_here"), ("desk/desk.py", "async def read_here", "READ ="), ("desk/desk.py", "async def do_one", "async def hand_out")],
    "game-room": [("game-room/src/room.ts",), ("game-room/src/server.ts", "/** Follows a room", "async function bodyOf")],
}


class ThePages(unittest.TestCase):
    def test_show_the_files(self):
        for page, files in SHOWN.items():
            text = (HERE.parent / f"docs/tutorials/{page}.md").read_text()
            for file, *part in files:
                content = (HERE / file).read_text()
                if part:
                    content = content[content.index("\n" + part[0]):content.index("\n" + part[1])]
                self.assertIn(content.strip(), text, f"{file} in {page}.md")


if __name__ == "__main__":
    unittest.main()
