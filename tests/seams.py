"""What the library says of a seam, for the pages that quote it."""

import ast

from conftest import REPO


def stated(file, protocol):
    """The names of a class of the library in its order, methods with their arguments: `train(task, runs)`."""
    source = ast.parse((REPO / "workflow_scripts/lottery" / file).read_text())
    found = next(node for node in source.body if isinstance(node, ast.ClassDef) and node.name == protocol)
    names = []
    for node in found.body:
        if isinstance(node, ast.AnnAssign):
            names.append(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            arguments = ", ".join(argument.arg for argument in node.args.posonlyargs[1:])
            names.append(f"{node.name}({arguments})")
    return names
