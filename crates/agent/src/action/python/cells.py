# Runs cells of code one after the other, in one namespace. Orders come on standard input, a line of JSON each; what a cell
# writes, by whatever way, goes to standard output, where marks say where it ends.
import ast, json, linecache, os, sys, traceback


def serve():
    nonce = sys.argv[1]
    sys.argv = [""]
    orders = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
    # Code that asks for input gets an end of file, and programs that it starts do not take the orders.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(1, 2)
    scope = {"__name__": "__main__", "__builtins__": __builtins__}

    def mark(body):
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        os.write(1, ("\x1b]7770;%s;%s;%s\x07" % (nonce, body, nonce)).encode())

    def commands(code):
        # What a notebook takes for a command of the shell.
        lines = []
        for line in code.split("\n"):
            text = line.lstrip()
            if text.startswith("!"):
                line = line[: len(line) - len(text)] + "__import__('subprocess').call(%r, shell=True)" % text[1:]
            lines.append(line)
        return "\n".join(lines)

    def run(code, name):
        try:
            tree = ast.parse(code, name)
        except SyntaxError:
            code = commands(code)
            tree = ast.parse(code, name)
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        exec(compile(tree, name, "exec"), scope)
        if last is not None:
            value = eval(compile(last, name, "eval"), scope)
            if value is not None:
                scope["_"] = value
                print(repr(value))

    mark("ready;" + sys.executable)
    directory, number = None, 0
    while True:
        try:
            line = orders.readline()
        except KeyboardInterrupt:
            continue
        if not line:
            return
        order = json.loads(line)
        number += 1
        try:
            if order["directory"] != directory:
                directory = order["directory"]
                if directory:
                    os.chdir(directory)
            run(order["code"], "<cell %d>" % number)
        except SystemExit as end:
            print("SystemExit: %s" % (end.code,))
        except BaseException as error:
            frames = error.__traceback__
            # The first frames are ours.
            while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<cell "):
                frames = frames.tb_next
            print("".join(traceback.format_exception(type(error), error, frames)), end="")
        try:
            mark("done")
        except KeyboardInterrupt:
            mark("done")


serve()
