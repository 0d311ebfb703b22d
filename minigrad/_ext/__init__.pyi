from typing import Any

def __getattr__(name: str) -> Any: ...  # a compiled module without a stub
