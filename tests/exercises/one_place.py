"""Changes a function in one place: the mistakes of a hurried hand."""

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
DROPPED = {"exp", "sqrt", "log", "log1p", "expm1", "tanh", "sinh", "inv", "diag", "abs"}


def mutants(function: Callable) -> Iterator[tuple[str, Callable]]:
    """Every change of one operator, operand, power, sign, function or constant.

    Gives the line that the change makes, and the function with it.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    body = tree.body[0].body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        del body[0]  # the docstring
    places = [node for node in ast.walk(tree.body[0]) if list(_changes(node))]
    for place in range(len(places)):
        for change in range(len(list(_changes(places[place])))):
            changed = copy.deepcopy(tree)
            nodes = [n for n in ast.walk(changed.body[0]) if list(_changes(n))]
            new = list(_changes(nodes[place]))[change]
            changed = _Replace(nodes[place], new).visit(changed)
            pairs = zip(tree.body[0].body, changed.body[0].body, strict=True)
            lines = [
                ast.unparse(b) for a, b in pairs if ast.unparse(a) != ast.unparse(b)
            ]
            if lines:
                yield lines[0], _compiled(changed, function)


def unchanged(function: Callable) -> Callable:
    """The function from its source, as the others are made."""
    return _compiled(ast.parse(textwrap.dedent(inspect.getsource(function))), function)


def _changes(node) -> Iterator[ast.expr]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPS:
            yield ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
        if isinstance(node.op, ast.Pow):
            yield ast.BinOp(node.left, ast.Mult(), node.right)
        yield node.left
        if not isinstance(node.op, ast.Pow):
            yield node.right
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        if isinstance(node.func, ast.Attribute) and node.func.attr in DROPPED:
            yield node.args[0]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)


class _Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def _compiled(tree, function) -> Callable:
    names = dict(inspect.unwrap(function).__globals__)
    code = compile(ast.fix_missing_locations(tree), "<changed>", "exec")
    exec(code, names)
    return names[function.__name__]
