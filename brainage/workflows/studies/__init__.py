"""Studies behind the paper's figures: what workers do, and how complex images are."""
