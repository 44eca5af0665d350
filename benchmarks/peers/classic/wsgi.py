from predictor import ScoringService, app

# With --preload the model is loaded before the workers fork.
ScoringService.get_model()

__all__ = ["app"]
